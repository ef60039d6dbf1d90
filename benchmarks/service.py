"""How quick is the service under a crowd? Requests a second and their times, by wrk and by clients
that poll, against `mfnet serve` in a data folder of its own.

    python benchmarks/service.py [--seconds 5] [--folder /dev/shm]

Needs `wrk` (Debian: apt install wrk). Client and server share this machine's cores.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import httpx
from report import RESULTS, Row, report

START_S = 60
POLLERS = 200
JOB = {
    "inputs": {"ortho": "sample_ortho.tif", "height": "sample_ndsm.tif", "confidence": True},
    "reuse": False,
}


def main() -> None:
    """Runs all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of each row")
    parser.add_argument("--upload-mb", type=int, default=500)
    parser.add_argument("--folder", type=Path, default=None, help="for the data folder")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("no wrk; expected it installed: apt install wrk")
    with served(options.folder) as (url, key, pid):
        rows = measure(url, key, pid, options.seconds, options.upload_mb)
    conditions = {"seconds": options.seconds, "upload_mb": options.upload_mb, "mode": "embedded"}
    report("service", rows, conditions=conditions, out=options.out)


def measure(url: str, key: str, pid: int, seconds: int, upload_mb: int) -> list[Row]:
    """All rows, in order, each with the processor time that the API took for a request."""
    headers = {"Authorization": f"Bearer {key}"}
    part = headers | {"Range": "bytes=0-16383"}
    rows: list[Row] = []

    def add(ask: Callable[..., Row], *told: object) -> None:
        before = processor_s(pid)
        found = ask(*told)
        used_ms = 1e3 * (processor_s(pid) - before)
        rows.append({**found, "processor ms": used_ms / max(int(found["requests"]), 1)})

    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=120) as client:
        client.post("/samples").raise_for_status()
        job = f"/jobs/{finished(client)}"
        tiles = client.get(f"{job}/tiles/classes.json").raise_for_status().json()["tiles"]
        add(wrk, "who is there", url + "/health/live", {}, 1, seconds)
        add(wrk, "a job's status", url + job, headers, 1, seconds)
        add(wrk, "a job's status", url + job, headers, POLLERS, seconds)
        add(wrk, "jobs, a page of ten", f"{url}/jobs", headers, 8, seconds)
        add(wrk, "16 kB of a map", f"{url}{job}/results/classes.tif", part, 8, seconds)
        add(wrk, "a tile", tiles[0].format(z=0, x=0, y=0), headers, 4, seconds)
        add(repeated, "a map's submission", lambda: submit(client), seconds)
        add(polling, url, headers, job, seconds)
        add(upload, client, upload_mb)
    return rows


def processor_s(pid: int) -> float:
    """Seconds of processor that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wrk(what: str, address: str, headers: dict[str, str], connections: int, seconds: int) -> Row:
    """As many requests as the service answers, on so many connections."""
    told = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *told, address]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    asked = re.search(r"(\d+) requests in", said)
    assert rate is not None, said
    assert asked is not None, said
    return row(
        what,
        connections,
        int(asked[1]),
        float(rate[1]),
        _ms(said, "50%"),
        _ms(said, "99%"),
        int(refused[1]) if refused else 0,
    )


def repeated(what: str, ask: Callable[[], httpx.Response], seconds: int) -> Row:
    """One request after the other."""
    times, refused, end = [], 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        refused += ask().is_error
        times.append(time.perf_counter() - began)
    return of_times(what, 1, times, len(times) / sum(times), refused)


def polling(url: str, headers: dict[str, str], job: str, seconds: int) -> Row:
    """Clients that each ask once a second, spread over it."""
    times: list[float] = []
    refused: list[int] = []

    def poll(number: int) -> None:
        client = HTTPConnection(url.removeprefix("http://"), timeout=60)
        time.sleep(number / POLLERS)
        for _ in range(seconds):
            began = time.perf_counter()
            client.request("GET", job, headers=headers)
            answer = client.getresponse()
            answer.read()
            refused.append(answer.status >= 400)
            times.append(time.perf_counter() - began)
            time.sleep(max(0, 1 - times[-1]))
        client.close()

    threads = [threading.Thread(target=poll, args=(n,)) for n in range(POLLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    what = "a job's status, each client once a second"
    return of_times(what, POLLERS, times, len(times) / seconds, sum(refused))


def upload(client: httpx.Client, megabytes: int) -> Row:
    """A large upload in pieces, given up before it would be looked at; its row is of bytes."""
    piece, size = os.urandom(1 << 20), megabytes << 20
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": str(size + 1)}
    begun = client.post("/uploads/incoming", headers=tus | {"Upload-Metadata": "filename YQ=="})
    kind = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    began = time.perf_counter()
    body = (piece for _ in range(megabytes))
    reply = client.patch(begun.headers["location"], content=body, headers=tus | kind)
    taken = time.perf_counter() - began
    client.delete(begun.headers["location"], headers=tus).raise_for_status()
    return row(
        f"an upload of {megabytes} MiB, MiB a second",
        1,
        megabytes,
        megabytes / taken,
        1e3 * taken,
        1e3 * taken,
        int(reply.is_error),
    )


def of_times(what: str, connections: int, times: list[float], rate: float, refused: int) -> Row:
    """A row of times that were measured here."""
    worst = statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0]
    median_ms = 1e3 * statistics.median(times)
    return row(what, connections, len(times), rate, median_ms, 1e3 * worst, refused)


def row(
    what: str,
    connections: int,
    requests: int,
    rate: float,
    p50_ms: float,
    p99_ms: float,
    refused: int,
) -> Row:
    """A row of the table."""
    return {
        "request": what,
        "connections": connections,
        "requests": requests,
        "a second": rate,
        "median ms": p50_ms,
        "p99 ms": p99_ms,
        "refused": refused,
    }


def submit(client: httpx.Client) -> httpx.Response:
    """A map's job, which is cancelled at once: the pair has been inspected before."""
    reply = client.post("/processes/segment/execution", json=JOB)
    if reply.is_success:
        client.delete(f"/jobs/{reply.json()['id']}")
    return reply


def finished(client: httpx.Client) -> str:
    """A job that is successful."""
    job = client.post("/processes/segment/execution", json=JOB).raise_for_status().json()["id"]
    end = time.monotonic() + 300
    while (status := client.get(f"/jobs/{job}").json()["status"]) in ("accepted", "running"):
        assert time.monotonic() < end, "the job takes too long"
        time.sleep(0.2)
    assert status == "successful", status
    return str(job)


@contextlib.contextmanager
def served(parent: Path | None) -> Iterator[tuple[str, str, int]]:
    """`mfnet serve` with one worker; its address, an admin's key, its process."""
    with tempfile.TemporaryDirectory(prefix="mfnet-service-", dir=parent) as folder:
        command = [sys.executable, "-P", "-m", "mfnet.service.cli.main", "serve", "--port", "0"]
        with (Path(folder) / "log").open("w") as log:
            child = subprocess.Popen(
                [*command, "--data-dir", f"{folder}/data"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            assert child.stdout is not None
            said = "".join(child.stdout.readline() for _ in range(2))
            url = re.search(r"http://\S+", said)
            key = re.search(r"mfn_\S+", said)
            assert url is not None, said
            assert key is not None, said
            yield url[0], key[0], child.pid
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(START_S)


def _ms(said: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)", said)
    assert found is not None, said
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]


if __name__ == "__main__":
    main()
