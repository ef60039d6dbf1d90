// How long a map will take, by how long the caller's earlier ones took.

import { call } from "./api.js";

/** Seconds for so many pixels with a model; null where no earlier map says so. */
export async function secondsFor(pixels, model) {
  const [{ jobs }, { uploads }] = await Promise.all([
    call("GET", "/jobs?status=successful&processID=segment&limit=50"),
    call("GET", "/uploads?limit=1000"),
  ]);
  const sizes = Object.fromEntries(
    uploads.map(({ id, report }) => [
      id,
      report.raster ? report.raster.width * report.raster.height : 0,
    ]),
  );
  const paces = jobs
    .filter(
      (job) =>
        job.inputs.model.split("@")[0] === model &&
        !job.inputs.stride &&
        !job.inputs.aoi &&
        !job.reused &&
        sizes[job.inputs.ortho] > 0,
    )
    .map(
      (job) => (new Date(job.finished) - new Date(job.started)) / 1000 / sizes[job.inputs.ortho],
    );
  if (paces.length === 0) return null;
  paces.sort((a, b) => a - b);
  return paces[Math.floor(paces.length / 2)] * pixels;
}
