"""Draws the pictures of the networks: ``python docs/draw_networks.py`` writes docs/images/networks/NAME.svg.

A picture is a grid of boxes and the arrows between them (diagram.py). Sizes are the defaults of src/collidekit/models.
"""

from pathlib import Path

from diagram import Box, Grid, Picture, draw

FOLDER = Path(__file__).parent / "images" / "networks"
FLAT = "flat groups\nfeatures of the jet"
CLASSES = "classes\nlinear"

PFN = Grid(
    {
        "features": Box(0, 0, "input", "constituents\nfeatures of each", stacked=True),
        "flat": Box(0, 1, "input", FLAT),
        "phi": Box(1, 0, "each", "Φ\ndense 100, 100, 256\nReLU", stacked=True),
        "sum": Box(2, 0, "pool", "sum\nover the jet, / 10\n256 numbers", stacked=True),
        "f": Box(3, 0, "jet", "F\ndense 100, 100, 100\nReLU"),
        "classes": Box(4, 0, "output", CLASSES),
    },
    ["features > phi > sum > f > classes", "flat ^ f"],
)

EFN = Grid(
    {
        "angles": Box(0, 0, "input", "coordinates\ntwo angles pᵢ", stacked=True),
        "momenta": Box(0, 1, "input", "momenta\npx, py, pz, E", stacked=True),
        "flat": Box(0, 2, "input", "flat groups\nonly with flat", dashed=True),
        "phi": Box(1, 0, "each", "Φ\ndense 100, 100, 256\nReLU", stacked=True),
        "share": Box(1, 1, "among", "part of the jet’s pT\nzᵢ = pTᵢ / Σ pT", stacked=True),
        "sum": Box(2, 0, "pool", "weighted sum\nΣ zᵢ Φ(pᵢ)\n256 numbers", stacked=True),
        "f": Box(3, 0, "jet", "F\ndense 100, 100, 100\nReLU"),
        "classes": Box(4, 0, "output", CLASSES),
    },
    ["angles > phi > sum > f > classes", "momenta > share ^ sum", "flat ^ f"],
)

PCNN = Grid(
    {
        "features": Box(0, 0, "input", "features\nin order", stacked=True),
        "flat": Box(0, 1, "input", "flat groups"),
        "stem": Box(1, 0, "among", "conv\n32", stacked=True),
        "one": Box(2, 0, "among", "2 units\n64", stacked=True),
        "two": Box(3, 0, "among", "2 units\n64\nhalf as\nmany", stacked=True),
        "three": Box(4, 0, "among", "2 units\n128\nhalf as\nmany", stacked=True),
        "mean": Box(5, 0, "pool", "mean\n128", stacked=True),
        "dense": Box(6, 0, "jet", "dense\n512, ReLU\ndropout 0.2"),
        "classes": Box(7, 0, "output", CLASSES),
    },
    ["features > stem > one > two > three > mean > dense > classes", "flat ^ dense"],
)

UNIT = Grid(
    {
        "x": Box(0, 0, "each", "x"),
        "one": Box(1, 0, "among", "conv\n3 neighbours, C channels\nbatch norm, ReLU"),
        "two": Box(2, 0, "among", "conv\n3 neighbours, C channels\nbatch norm, ReLU"),
        "shortcut": Box(1, 1, "each", "shortcut\nlinear, C channels; or nothing, where size and number stay", span=2),
        "plus": Box(3, 0, "plus", ""),
        "next": Box(4, 0, "each", "next x"),
    },
    ["x > one > two > plus > next", "x > shortcut ^ plus"],
    title="One unit of C channels",
)

DEEPJET = Grid(
    {
        "charged": Box(0, 0, "input", "charged"),
        "neutral": Box(0, 1, "input", "neutral"),
        "vertices": Box(0, 2, "input", "vertices"),
        "flat": Box(0, 3, "input", "flat groups"),
        "charged_dense": Box(1, 0, "each", "dense\n64, 32, 32, 8"),
        "neutral_dense": Box(1, 1, "each", "dense\n32, 16, 4"),
        "vertices_dense": Box(1, 2, "each", "dense\n64, 32, 32, 8"),
        "norm": Box(1, 3, "jet", "batch norm"),
        "charged_lstm": Box(2, 0, "pool", "LSTM 150\nlast to first"),
        "neutral_lstm": Box(2, 1, "pool", "LSTM 50\nlast to first"),
        "vertices_lstm": Box(2, 2, "pool", "LSTM 50\nlast to first"),
        "dense": Box(3, 1, "jet", "dense\n200, then\n7 × 100"),
        "classes": Box(4, 1, "output", CLASSES),
    },
    [
        "charged > charged_dense > charged_lstm > dense > classes",
        "neutral > neutral_dense > neutral_lstm > dense",
        "vertices > vertices_dense > vertices_lstm > dense",
        "flat > norm ^ dense",
    ],
)

PARTICLENET = Grid(
    {
        "features": Box(0, 0, "input", "features\nof each"),
        "coordinates": Box(0, 1, "input", "coordinates\ntwo angles"),
        "flat": Box(0, 2, "input", "flat groups"),
        "norm": Box(1, 0, "each", "batch\nnorm"),
        "one": Box(2, 0, "among", "EdgeConv\n3 × 64\nk = 16"),
        "two": Box(3, 0, "among", "EdgeConv\n3 × 128\nk = 16"),
        "three": Box(4, 0, "among", "EdgeConv\n3 × 256\nk = 16"),
        "mean": Box(5, 0, "pool", "mean\n256"),
        "dense": Box(6, 0, "jet", "dense\n256, ReLU\ndropout 0.1"),
        "classes": Box(7, 0, "output", CLASSES),
    },
    ["features > norm > one > two > three > mean > dense > classes", "coordinates ^ one", "flat ^ dense"],
)

EDGE_CONV = Grid(
    {
        "x": Box(0, 0, "each", "xᵢ"),
        "near": Box(1, 0, "among", "neighbours\nthe 16 nearest, xⱼ\nfirst in the coordinates,\nthen in x"),
        "edges": Box(2, 0, "among", "each edge (xᵢ, xⱼ − xᵢ)\n3 × dense C,\neach with batch norm\nand ReLU"),
        "mean": Box(3, 0, "among", "mean\nover the\nneighbours"),
        "shortcut": Box(1, 1, "each", "shortcut\ndense C, batch norm; or nothing, where the size stays", span=3),
        "plus": Box(4, 0, "plus", ""),
        "next": Box(5, 0, "each", "ReLU\nnext xᵢ"),
    },
    ["x > near > edges > mean > plus > next", "x > shortcut ^ plus"],
    title="One EdgeConv of C numbers",
)

PARTICLE_TRANSFORMER = Grid(
    {
        "features": Box(0, 0, "input", "features\nof each", stacked=True),
        "momenta": Box(0, 1, "input", "momenta\nof each", stacked=True),
        "flat": Box(0, 2, "input", "flat groups"),
        "embedding": Box(1, 0, "each", "embedding\n128, 512,\n128", stacked=True),
        "pairs": Box(1, 1, "among", "each pair\nln kT, ln z,\nln ΔR, ln m²"),
        "attention": Box(2, 0, "among", "attention\n8 heads,\nled by U", around="above"),
        "bias": Box(2, 1, "among", "U\n64, 64, 64,\n8 heads"),
        "feed": Box(3, 0, "each", "dense\n512, GELU,\n128", around="above"),
        "token": Box(3, 1, "jet", "class token\n128, learned"),
        "blocks": Box(4, 0, "pool", "2 class\nblocks\n128"),
        "classes": Box(5, 0, "output", CLASSES),
    },
    [
        "features > embedding > attention > feed > blocks > classes",
        "momenta > pairs > bias ^ attention",
        "token ^ blocks",
        "flat ^ classes",
    ],
    {"attention feed": "× 8"},
)

CLASS_BLOCK = Grid(
    {
        "token": Box(0, 0, "jet", "token"),
        "constituents": Box(0, 1, "each", "constituents"),
        "attention": Box(1, 0, "pool", "attention\nfrom the token to itself and all, 8 heads", around="above"),
        "feed": Box(2, 0, "jet", "dense\n512, GELU, 128", around="above"),
        "next": Box(3, 0, "jet", "next token"),
    },
    ["token > attention > feed > next", "constituents ^ attention"],
    title="One class block",
)

PAIR_TRANSFORMER = Grid(
    {
        "features": Box(0, 0, "input", "features\nof each", stacked=True),
        "momenta": Box(0, 1, "input", "momenta\nof each", stacked=True),
        "flat": Box(0, 2, "input", "flat groups"),
        "embedding": Box(1, 0, "each", "embedding\ndense 64, 64", stacked=True),
        "pairs": Box(1, 1, "among", "each pair\nln kT, ln z,\nln ΔR, ln m²"),
        "attention": Box(2, 0, "among", "attention\n8 heads,\nled by U", around="above"),
        "bias": Box(2, 1, "among", "U\ndense 32,\n8 heads"),
        "feed": Box(3, 0, "each", "dense\n128, SiLU,\n64", around="above"),
        "sum": Box(4, 0, "pool", "sum\nwith gates\n64"),
        "dense": Box(5, 0, "jet", "dense\n64, SiLU"),
        "classes": Box(6, 0, "output", CLASSES),
    },
    [
        "features > embedding > attention > feed > sum > dense > classes",
        "momenta > pairs > bias ^ attention",
        "flat ^ dense",
    ],
    {"attention feed": "× 3"},
)

LORENTZNET = Grid(
    {
        "scalars": Box(0, 0, "input", "scalars\nmass, beam or not,\nchosen features"),
        "momenta": Box(0, 1, "input", "momenta\nand the two beams"),
        "embedding": Box(1, 0, "each", "dense\n72: h"),
        "layers": Box(2, 0, "among", "6 layers\nh: 72 scalars\nx: a four-vector"),
        "mean": Box(3, 0, "pool", "mean of h\n72"),
        "dense": Box(4, 0, "jet", "dense\n72, ReLU\ndropout 0.2"),
        "classes": Box(5, 0, "output", CLASSES),
    },
    ["scalars > embedding > layers > mean > dense > classes", "momenta ^ layers"],
)

NEXT_H = "hᵢ + φₕ(hᵢ, Σⱼ wᵢⱼ mᵢⱼ, scalars)"
LORENTZ_LAYER = Grid(
    {
        "h": Box(0, 0, "each", "hᵢ, hⱼ"),
        "x": Box(0, 1, "each", "xᵢ, xⱼ"),
        "products": Box(1, 1, "among", "products\nψ(|xᵢ − xⱼ|²)\nψ(⟨xᵢ, xⱼ⟩)"),
        "message": Box(2, 0, "among", "message mᵢⱼ\ndense 72, batch norm,\nReLU, dense 72, ReLU"),
        "next_h": Box(3, 0, "among", f"next hᵢ = {NEXT_H}\nw: dense 1, sigmoid\nφₕ: dense 72, batch norm, ReLU, 72"),
        "next_x": Box(3, 1, "among", "next xᵢ = xᵢ + c meanⱼ (xᵢ − xⱼ) φₓ(mᵢⱼ)\nc = 0.001\nφₓ: dense 72, ReLU, 1"),
    },
    ["h > message > next_h", "x > products ^ message > next_x"],
    title="One layer, on all pairs i, j",
)

CROSS_ATTENTION = Grid(
    {
        "asking": Box(0, 0, "input", "query\nand flat", stacked=True),
        "answering": Box(0, 1, "input", "others\nand flat", stacked=True),
        "one": Box(1, 0, "each", "embedding\ndense 64, 64", stacked=True),
        "other": Box(1, 1, "each", "embedding\ndense 64, 64", stacked=True),
        "registers": Box(0, 2, "input", "registers\n2 a side"),
        "blocks": Box(2, 0, "among", "2 blocks\nlook within,\nlook across"),
        "projection": Box(3, 0, "each", "projection\nlinear 64", stacked=True),
        "sum": Box(4, 0, "pool", "attention\npooling\n64"),
        "dense": Box(5, 0, "jet", "dense\n64, 32,\nSiLU"),
        "classes": Box(6, 0, "output", CLASSES),
    },
    [
        "asking > one > blocks > projection > sum > dense > classes",
        "answering > other ^ blocks",
        "registers ^ blocks",
    ],
)

TRANSFORMER = Grid(
    {
        "features": Box(0, 0, "input", "features\nof each", stacked=True),
        "flat": Box(0, 1, "input", "flat groups\nbeside each"),
        "embedding": Box(1, 0, "each", "embedding\ndense\n256, 256", stacked=True),
        "registers": Box(1, 1, "input", "registers\n8, learned"),
        "blocks": Box(2, 0, "among", "4 blocks\nof 256"),
        "projection": Box(3, 0, "each", "projection\nlinear 128"),
        "sum": Box(4, 0, "pool", "attention\npooling\n128"),
        "dense": Box(5, 0, "jet", "dense\n128, 64,\n32, SiLU"),
        "classes": Box(6, 0, "output", CLASSES),
        "targets": Box(
            5,
            1,
            "output",
            "targets\nclass of constituents\npairs of one vertex\ndense 128, 64, 32",
            dashed=True,
            span=2,
        ),
    },
    [
        "features > embedding > blocks > projection > sum > dense > classes",
        "flat > embedding",
        "registers ^ blocks",
        "projection v targets",
        "sum > targets",
    ],
)

BLOCK = Grid(
    {
        "x": Box(0, 0, "each", "x"),
        "attention": Box(1, 0, "among", "attention\nof RMSNorm(x), 8 heads", around="above"),
        "feed": Box(2, 0, "each", "feed-forward\nof RMSNorm(x), gated, 512 inside", around="above"),
        "next": Box(3, 0, "each", "next x"),
    },
    ["x > attention > feed > next"],
    title="One block",
)

PICTURES = {
    "pfn": Picture(
        "Particle-flow network: Φ with dense layers of 100, 100 and 256 on each constituent, the sum over the jet divided by "
        "10, beside it the flat groups, F with dense layers of 100, 100 and 100, classes",
        [PFN],
    ),
    "efn": Picture(
        "Energy-flow network: Φ with dense layers of 100, 100 and 256 on the angles of each constituent, the sum weighted by "
        "its part of the jet's transverse momentum, F with dense layers of 100, 100 and 100, classes",
        [EFN],
    ),
    "pcnn": Picture(
        "P-CNN: a convolution of 32, two units of 64, two of 64 and two of 128, the mean over the constituents, a dense layer "
        "of 512 with the flat groups, classes; a unit is two convolutions and a shortcut",
        [PCNN, UNIT],
    ),
    "deepjet": Picture(
        "DeepJet: charged candidates, neutral candidates and vertices each go through dense layers and an LSTM, flat groups "
        "beside them, then dense layers of 200 and seven times 100, classes",
        [DEEPJET],
        "A batch norm comes first. ReLU, batch norm and dropout 0.1 follow each dense layer, but the last before an LSTM has "
        "the ReLU alone; batch norm and dropout follow the LSTM. deepjet_hlt: 200, then 8 × 100, no flat groups.",
    ),
    "particlenet": Picture(
        "ParticleNet: three EdgeConv blocks with 16 neighbours and layers of 64, 128 and 256, the mean over the constituents, "
        "a dense layer of 256 with the flat groups, classes; an EdgeConv is the mean over the edges to the neighbours, and a "
        "shortcut",
        [PARTICLENET, EDGE_CONV],
        "Several collections form one cloud: each first has a batch norm and a dense layer to 32 numbers of its own.",
    ),
    "particle_transformer": Picture(
        "Particle transformer: constituents are embedded to 128 numbers and go through eight blocks of attention, led by U "
        "from the four features of each pair, and feed-forward; a class token then looks at them in two blocks, and goes to "
        "the classes with the flat groups",
        [PARTICLE_TRANSFORMER, CLASS_BLOCK],
        "Layer norms: before and after each attention, before and between each two dense layers, and before the classes.",
    ),
    "pair_transformer": Picture(
        "Pair transformer: constituents are embedded to 64 numbers and go through three blocks of attention, led by U from "
        "the four features of each pair, and feed-forward; a sum with gates and the flat groups go to a dense layer of 64 "
        "and the classes",
        [PAIR_TRANSFORMER],
        "An RMSNorm stands before attention, dense layers and sum.",
    ),
    "lorentznet": Picture(
        "LorentzNet: scalars are embedded to 72 numbers h, which go with the momenta through six layers, then the mean of h "
        "to a dense layer of 72 and the classes; in a layer messages of all pairs, made of their scalars and Minkowski "
        "products, change h and x",
        [LORENTZNET, LORENTZ_LAYER],
        "The last layer leaves x as it is.",
    ),
    "transformer": Picture(
        "Transformer: constituents with the flat groups beside each are embedded to 256 numbers and form one set with eight "
        "registers; four blocks of attention and feed-forward, a projection to 128, attention pooling, dense layers of 128, "
        "64 and 32, classes; targets come from the projection and the pooled row",
        [TRANSFORMER, BLOCK],
    ),
    "cross_attention": Picture(
        "Cross-attention: the query collection and the others, with the flat groups beside each constituent, are embedded to "
        "64 numbers and form two sides with two registers each; in two blocks each side looks at itself and at the other; a "
        "projection to 64, attention pooling, dense layers of 64 and 32, classes",
        [CROSS_ATTENTION],
    ),
}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw(picture), encoding="utf-8")
