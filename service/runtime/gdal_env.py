"""What GDAL may do in a process that opens a stranger's raster: read GeoTIFFs, and no more."""

# Everything that GDAL up to 3.12 may have beside GTiff, COG and MEM. A TIFF's metadata and
# its sidecars can name files that these would open, some of them over the network.
_SKIPPED_DRIVERS = (
    "AAIGrid,ACE2,ADBC,ADRG,AIG,AIVector,AVCBin,AVCE00,AVIF,AirSAR,AmigoCloud,Arrow,BAG,BASISU,"
    "BIGGIF,BLX,BMP,BSB,BT,BYN,CAD,CALS,CEOS,COASP,COSAR,CPG,CSV,CSW,CTG,CTable2,Carto,DAAS,DDS,"
    "DERIVED,DGN,DIMAP,DIPEx,DOQ1,DOQ2,DTED,DXF,ECRGTOC,ECW,EEDA,EEDAI,EHdr,EIR,ELAS,ENVI,ERS,"
    "ESAT,ESRI Shapefile,ESRIC,ESRIJSON,EXR,EarthDataAccess,Elasticsearch,FAST,FIT,FlatGeobuf,"
    "GDALG,GFF,GIF,GML,GMLAS,GNMDatabase,GNMFile,GPKG,GPSBabel,GPX,GRASSASCIIGrid,GRIB,GS7BG,GSAG,"
    "GSBG,GSC,GTFS,GTI,GTX,GXF,GenBin,GeoJSON,GeoJSONSeq,GeoRSS,HANA,HDF4,HDF4Image,HDF5,"
    "HDF5Image,HEIF,HF2,HFA,HTTP,IDA,ILWIS,INGR,IRIS,ISCE,ISG,ISIS2,ISIS3,Idrisi,JAXAPALSAR,JDEM,"
    "JML,JP2ECW,JP2KAK,JP2OpenJPEG,JPEG,JPEGXL,JSONFG,KEA,KML,KMLSUPEROVERLAY,KRO,KTX2,L1B,LAN,"
    "LCP,LIBERTIFF,LIBKML,LOSLAS,LVBAG,Leveller,MAP,MBTiles,MFF,MFF2,MRF,MSGN,MSSQLSpatial,MVT,"
    "MapInfo File,MapML,Memory,MiraMonRaster,MiraMonVector,MongoDBv3,MrSID,MySQL,NAS,NDF,NGSGEOID,"
    "NGW,NITF,NOAA_B,NSIDCbin,NTv2,NUMPY,NWT_GRC,NWT_GRD,OAPIF,OCI,ODBC,ODS,OGCAPI,OGR_GMT,OGR_VRT,"
    "OSM,OZI,OpenFileGDB,PALSARJaxa,PAux,PCIDSK,PCRaster,PDF,PDS,PDS4,PGDUMP,PGeo,PLMOSAIC,PLSCENES,"
    "PMTiles,PNG,PNM,PRF,Parquet,PostGISRaster,PostgreSQL,R,RASTERLITE,RCM,RDB,RIK,RMF,ROI_PAC,"
    "RPFTOC,RRASTER,RS2,RST,Rasterlite,S102,S104,S111,S57,SAFE,SAGA,SAR_CEOS,SDTS,SENTINEL2,SGI,"
    "SIGDEM,SNAP_TIFF,SNODAS,SOSI,SQLite,SRP,SRTMHGT,STACIT,STACTA,SXF,Selafin,TGA,TIGER,TIL,"
    "TSX,Terragen,TileDB,TopoJSON,UK .NTF,USGSDEM,VDV,VFK,VICAR,VRT,WAsP,WCS,WEBP,WFS,WMS,WMTS,"
    "XLS,XLSX,XODR,XPM,XYZ,ZMap,Zarr,netCDF"
)

FENCE = {
    "GDAL_SKIP": _SKIPPED_DRIVERS,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no sidecar is looked for
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "none",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO",
    "PROJ_NETWORK": "OFF",  # a stranger's CRS may name grids
}
"""For the environment of a child; inside `rasterio.Env` these settings would come too late.

What is left is enough to write results, too: a warp needs no VRT driver.
"""

VECTORS = ("ESRI Shapefile", "FlatGeobuf")
"""Drivers for a child that reads polygons, too: these formats name no other files."""


MOSAIC = "VRT"
"""Driver for a child that reads rasters in tiles: by a VRT that it writes itself, and no other."""

POLYGONIZING = "Memory"
"""Driver that rasterio makes polygons of a raster with; it opens no files."""


def allowing(fence: dict[str, str], *drivers: str) -> dict[str, str]:
    """A fence of a process that may use some more drivers."""
    skipped = [name for name in fence["GDAL_SKIP"].split(",") if name not in drivers]
    return fence | {"GDAL_SKIP": ",".join(skipped)}
