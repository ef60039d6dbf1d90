"""Classes of published data sets; the modules that read them name their sources."""

from mfnet.model.classes import ClassScheme, LandClass

# Titles, colours and numbers: github.com/IGNF/FLAIR, FLAIR1/flair_1.md. The 13th joins the numbers
# from 13 on, as IGN's baselines have it (github.com/IGNF/FLAIR-2, src/metrics.py), and is left out
# of their mean IoU.
FLAIR = ClassScheme(
    name="flair",
    classes=(
        LandClass(name="building", title="Building", color="#db0e9a"),
        LandClass(name="pervious_surface", title="Pervious surface", color="#938e7b"),
        LandClass(name="impervious_surface", title="Impervious surface", color="#f80c00"),
        LandClass(name="bare_soil", title="Bare soil", color="#a97101"),
        LandClass(name="water", title="Water", color="#1553ae"),
        LandClass(name="coniferous", title="Coniferous", color="#194a26"),
        LandClass(name="deciduous", title="Deciduous", color="#46e483"),
        LandClass(name="brushwood", title="Brushwood", color="#f3a60d"),
        LandClass(name="vineyard", title="Vineyard", color="#660082"),
        LandClass(name="herbaceous_vegetation", title="Herbaceous vegetation", color="#55ff00"),
        LandClass(name="agricultural_land", title="Agricultural land", color="#fff30d"),
        LandClass(name="plowed_land", title="Plowed land", color="#e4df7c"),
        LandClass(name="other", title="Other", color="#000000", foreground=False),
    ),
)

# Titles and numbers, and colours that are TorchGeo's: `torchgeo/datasets/geonrw.py` of
# github.com/microsoft/torchgeo at 09d7e81.
GEONRW = ClassScheme(
    name="geonrw",
    classes=(
        LandClass(name="forest", title="Forest", color="#2ca02c"),
        LandClass(name="water", title="Water", color="#1f77b4"),
        LandClass(name="agricultural", title="Agricultural", color="#8c564b"),
        LandClass(name="built_up", title="Residential, commercial, industrial", color="#7f7f7f"),
        LandClass(name="grassland", title="Grassland, swamp, shrubbery", color="#bcbd22"),
        LandClass(name="railway", title="Railway, train station", color="#ff7f0e"),
        LandClass(name="highway", title="Highway, squares", color="#9467bd"),
        LandClass(name="airport", title="Airport, shipyard", color="#17becf"),
        LandClass(name="roads", title="Roads", color="#d62728"),
        LandClass(name="buildings", title="Buildings", color="#e377c2"),
    ),
)

# Numbers and titles: `track1/unets/params.py` of github.com/pubgeo/dfc2019 at d461ddd; the colours
# are ours.
DFC2019 = ClassScheme(
    name="dfc2019",
    classes=(
        LandClass(name="ground", title="Ground", color="#b0a080"),
        LandClass(name="tree", title="Trees", color="#00a000"),
        LandClass(name="building", title="Building", color="#0000ff"),
        LandClass(name="water", title="Water", color="#00c0ff"),
        LandClass(name="elevated_road", title="Bridge, elevated road", color="#808080"),
    ),
)
