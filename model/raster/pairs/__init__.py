"""An orthophoto with its heights: judged, interpreted and read on one grid."""
