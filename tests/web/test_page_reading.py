"""The reader in JavaScript computes what the reader in Python computes: building blocks, stages, whole pages."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, spatial

from hwr_jax.data import drawn, pages
from hwr_jax.inference import light, packaged, scan
from hwr_jax.pictures import characters, ink, marks, normalise, page, perspective, resample, rules, sheet
from hwr_jax.web import page_files

pytestmark = pytest.mark.browser

BASE = """
const as = (value, kind) => ({h: value.length, w: value[0].length, a: kind.from(value.flat())});
const grey = (value) => as(value, Float32Array), mask = (value) => as(value, Uint8Array);
const back = (g) => Array.from({length: g.h}, (_, y) => Array.from(g.a.subarray(y * g.w, (y + 1) * g.w)));
"""


@pytest.fixture(scope="module")
def reading(browser, server):
    """A page with the scripts that read."""
    context = browser.new_context()
    made = context.new_page()
    made.goto(server.url + "manifest.json")
    for script in ("files.js", *(f"reading/{name}.js" for name in page_files.READING), "model.js"):
        made.evaluate(page_files.files()[script].decode())
    made.evaluate("self.net = HWR.network.loaded(HWR_MODEL)")
    yield made
    context.close()


@pytest.fixture(scope="module")
def js(reading):
    """Returns js(body, **values): what a function of HWR, as H, and of the values returns."""

    def run(body, **values):
        plain = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in values.items()}
        call = (
            f"(text) => {{ const H = HWR, V = JSON.parse(text); {BASE} return JSON.stringify((() => {{ {body} }})()) }}"
        )
        return json.loads(reading.evaluate(call, json.dumps(plain)))  # playwright itself packs each number

    return run


@pytest.fixture(scope="module")
def half():
    """The shipped network with its weights rounded as the page has them."""
    model = packaged.model()
    rounded = lambda array: array.astype(np.float16).astype(np.float32)  # noqa: E731
    net = model.nets[0]
    nets = [
        light._Net(
            [rounded(kernel) for kernel in net.convolutions],
            [(rounded(scale), rounded(shift)) for scale, shift in net.norms],
            (rounded(net.dense[0]), rounded(net.dense[1])),
        )
    ]
    return light.LightReader(model.facts, model.stages, model.blocks, model.stride, nets)


def random_grey(seed, h, w):
    return np.random.default_rng(seed).uniform(0, 255, (h, w)).astype(np.float32)


def blobs(seed, h, w, share=0.5):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(h, w)), 1.5)
    return noise > np.quantile(noise, 1 - share)


def composed(seed, lengths, **options):
    """A page of digits that are drawn stroke by stroke."""
    rng = np.random.default_rng(seed)
    return pages.compose(rng, *glyphs_of(sum(lengths), seed), lengths, **options)


def glyphs_of(count, seed):
    images, labels = drawn.draw(count, seed=seed)
    return images.reshape(count, 28, 28), labels


@pytest.mark.parametrize(
    ("kernel", "shape"),
    [
        ("box", (13, 9)),
        ("hamming", (20, 14)),
        ("bicubic", (77, 90)),
        ("bilinear", (60, 41)),
        ("box", (31, 5)),
        ("hamming", (1, 1)),
    ],
)
def test_other_sizes_are_those_of_pillow(js, kernel, shape):
    grey = random_grey(0, 31, 47)
    expected = np.asarray(Image.fromarray(grey).resize(shape[::-1], Image.Resampling[kernel.upper()]))
    found = js(
        "return back(H.resampled(grey(V.grey), V.h, V.w, V.kernel))", grey=grey, h=shape[0], w=shape[1], kernel=kernel
    )
    np.testing.assert_allclose(found, expected, rtol=3e-7, atol=3e-5)


def test_shrinking_and_zooming_are_those_of_python(js):
    grey, mask = random_grey(1, 70, 33), blobs(1, 40, 30).astype(np.float32)
    np.testing.assert_allclose(js("return back(H.shrink(grey(V.g), 48))", g=grey), resample.shrink(grey, 48), 3e-7)
    expected = ndimage.zoom(mask, (97 / 40, 64 / 30), order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(js("return back(H.zoomed(grey(V.g), 97, 64))", g=mask), expected, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.4, 1.6, 3.2, 20.0])
@pytest.mark.parametrize("mode", ["reflect", "nearest"])
def test_the_gaussian_is_that_of_scipy(js, sigma, mode):
    grey = random_grey(2, 23, 37)
    found = js("return back(H.gaussian(grey(V.g), V.sigma, V.mode))", g=grey, sigma=sigma, mode=mode)
    np.testing.assert_allclose(found, ndimage.gaussian_filter(grey, sigma, mode=mode), rtol=3e-7)


def test_windows_are_those_of_scipy(js):
    grey = random_grey(3, 24, 31)
    for size in (2, 3, 4, 7, 40):
        np.testing.assert_array_equal(
            js("return back(H.maximum(grey(V.g), V.n))", g=grey, n=size), ndimage.maximum_filter(grey, size)
        )
        np.testing.assert_array_equal(
            js("return back(H.closing(grey(V.g), V.n))", g=grey, n=size),
            ndimage.grey_closing(grey, size=(size, size), mode="nearest"),
        )
    np.testing.assert_array_equal(
        js("return back(H.maximum(grey(V.g), 5, 1))", g=grey), ndimage.maximum_filter(grey, (5, 1))
    )
    np.testing.assert_array_equal(
        js("return back(H.median3(grey(V.g)))", g=grey), ndimage.median_filter(grey, size=3, mode="nearest")
    )
    np.testing.assert_allclose(
        js("return back(H.uniform(grey(V.g), 2))", g=grey), ndimage.uniform_filter(grey, 2), rtol=3e-7
    )
    for radius in (1.0, 2.3, 4.9):
        y, x = np.mgrid[-5:6, -5:6]
        np.testing.assert_array_equal(
            js("return back(H.dilatedByDisc(grey(V.g), V.r))", g=np.pad(grey, 6), r=radius),
            ndimage.grey_dilation(np.pad(grey, 6), footprint=y**2 + x**2 <= radius**2),
        )


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_regions_are_those_of_scipy(js, share):
    mask = blobs(4, 34, 41, share)
    for eight, structure in ((False, None), (True, np.ones((3, 3)))):
        labels, count = ndimage.label(mask, structure)
        found = js(
            "const l = H.label(mask(V.m), V.eight); return [back(l.labels), l.count, H.boxes(l.labels, l.count)]",
            m=mask.astype(int),
            eight=eight,
        )
        np.testing.assert_array_equal(found[0], labels)
        assert found[1] == count
        assert found[2] == [
            {"top": y.start, "left": x.start, "bottom": y.stop, "right": x.stop}
            for y, x in ndimage.find_objects(labels)
        ]
    run = lambda body: np.array(js(body, m=mask.astype(int)))  # noqa: E731
    np.testing.assert_array_equal(run("return back(H.withoutHoles(mask(V.m)))"), ndimage.binary_fill_holes(mask))
    for border in (0, 1):
        np.testing.assert_array_equal(
            run(f"return back(H.eroded(mask(V.m), 2, {border}))"),
            ndimage.binary_erosion(mask, iterations=2, border_value=border),
        )
    np.testing.assert_array_equal(
        run("return back(H.dilated(mask(V.m), 3))"), ndimage.binary_dilation(mask, iterations=3)
    )
    np.testing.assert_allclose(run("return back(H.distances(mask(V.m)))"), ndimage.distance_transform_edt(mask))
    np.testing.assert_array_equal(
        run("return back(H.steps(mask(V.m)))"), ndimage.distance_transform_cdt(mask, "chessboard")
    )
    y, x = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    np.testing.assert_array_equal(
        run("return Array.from(H.nearestOutside(mask(V.m)))").reshape(mask.shape), y * mask.shape[1] + x
    )


def test_numbers_are_those_of_numpy(js):
    for n in (1, 2, 7, 100, 1001):
        values = random_grey(n, 1, n)[0]
        assert js("return H.median(Float32Array.from(V.v))", v=values) == float(np.median(values))
        for q in (1, 35, 50, 90, 99):
            found = js("return H.percentile(Float32Array.from(V.v), V.q)", v=values, q=q)
            assert found == pytest.approx(float(np.percentile(values, q)), rel=2e-7)
    halves = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4999, 7.0]
    assert js("return V.v.map(H.rint)", v=halves) == [round(value) for value in halves]


def test_hulls_and_projective_maps_are_those_of_python(js):
    points = np.random.default_rng(5).integers(0, 60, (200, 2))
    assert js("return H.area(H.hull(V.p))", p=points) == spatial.ConvexHull(points).volume
    corners = np.array([(10.0, 7.0), (52.0, 3.0), (57.0, 44.0), (6.0, 49.0)])
    grey = random_grey(6, 50, 60)
    expected, back = perspective.straightened(grey, corners, outside=9.0)
    found = js(
        "const s = H.perspective.straightened(grey(V.g), V.c, 9); return [back(s.grey), s.back]", g=grey, c=corners
    )
    np.testing.assert_allclose(found[1], back.ravel(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found[0], expected, atol=1e-3)
    y, x = np.mgrid[:60, :60]
    tilted = (abs((x - 30) + 0.2 * (y - 30)) < 20) & (abs((y - 30) - 0.1 * (x - 30)) < 15)
    np.testing.assert_allclose(
        js("return H.perspective.cornersOf(mask(V.m))", m=tilted.astype(int)), perspective.corners_of(tilted), atol=1e-9
    )


PICTURES = {
    "plain": ([3, 4], {}),
    "ruled, in shadow": ([4, 3, 5], {"paper": "ruled", "shadow": 0.4}),
    "squared, tilted": ([5, 4], {"paper": "grid", "tilt_deg": 3.0, "digit_px": 40.0}),
    "on a desk": ([4, 5], {"desk": True, "tilt_deg": 6.0, "paper": "ruled", "digit_px": 36.0}),
    "one": ([1], {"digit_px": 70.0}),
}


@pytest.fixture(scope="module", params=PICTURES)
def picture(request):
    """A grey picture uint8 [h, w]."""
    lengths, options = PICTURES[request.param]
    return composed(list(PICTURES).index(request.param), lengths, **options).grey


AS_PICTURE = "const g = as(V.g, Uint8Array);"


def test_each_stage_of_a_page_is_that_of_python(js, picture):
    cut = sheet.cut(picture, page.PAGE_PX)
    found = js(
        f"{AS_PICTURE} const s = H.cutSheet(g, 1200); return s && [back(s.grey), s.box, s.isStraightened]", g=picture
    )
    assert (found is None) == (cut is None)
    if cut is not None:
        assert list(found[1].values()) == list(cut.box)
        assert found[2] == cut.is_straightened
        np.testing.assert_allclose(found[0], cut.grey, atol=1e-2)
    marked = page.find_marks(picture)
    contrast, darkness, labels = js(
        f"{AS_PICTURE} const p = H.page.findMarks(g); return [p.contrast, p.darkness, p.labels].map(back)", g=picture
    )
    np.testing.assert_allclose(contrast, marked.contrast, atol=1e-4)
    np.testing.assert_allclose(darkness, marked.darkness, atol=1e-3)
    np.testing.assert_array_equal(labels, marked.labels)
    there = characters.characters(marked)
    boxes, dropped, images, parts = js(
        f"""{AS_PICTURE} const p = H.page.findMarks(g), f = H.characters.find(p);
        const masks = f.characters.map((c) => H.characters.maskOf(p, c));
        return [f.characters.map((c) => [c.top, c.left, c.bottom, c.right]), f.dropped,
                f.characters.map((c, i) => Array.from(H.characters.imageOf(p, c, masks[i]))),
                masks.map((m) => H.characters.cuts(m).map((c) => [c.column, c.slant, c.crossed]))]""",
        g=picture,
    )
    assert boxes == [list(c[:4]) for c in there.characters]
    assert dropped == there.dropped
    masks = [characters.mask_of(marked, c) for c in there.characters]
    assert parts == [[list(cut) for cut in characters.cuts(mask)] for mask in masks]
    expected = characters.images_of(marked, list(map(characters.Drawn, there.characters, masks)))
    for image, own in zip(images, expected, strict=True):
        assert np.abs(np.array(image) - own.ravel()).max() <= 1


def test_one_digit_is_normalised_as_in_python(js, picture):
    for grey in (picture, 255 - picture, picture[::2, ::2]):
        image, doubts = js(
            f"{AS_PICTURE} const n = H.normalise.normalised(g); return [Array.from(n.image), n.doubts]", g=grey
        )
        expected = normalise.normalised(grey)
        assert np.abs(np.array(image) - expected.image.ravel()).max() <= 1
        assert tuple(doubts) == expected.doubts


def test_a_digit_cropped_to_its_ink_is_seen_as_in_python(js):
    for glyph in glyphs_of(10, 3)[0]:
        rows, columns = np.flatnonzero(glyph.any(1)), np.flatnonzero(glyph.any(0))
        tight = 255 - glyph[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        large = np.asarray(Image.fromarray(tight).resize((4 * tight.shape[1], 4 * tight.shape[0])))
        for grey in (tight, large, 255 - large):
            found = js(
                f"{AS_PICTURE} return [Array.from(H.normalise.normalised(g).image), H.ink.isLightOnDark(g)]", g=grey
            )
            assert np.abs(np.array(found[0]) - normalise.normalised(grey).image.ravel()).max() <= 1
            assert found[1] == ink.is_light_on_dark(grey)


def test_printed_lines_are_removed_as_in_python(js):
    grey = composed(0, [4, 3, 5], paper="ruled", shadow=0.2).grey
    contrast, noise = page.paper_contrast(grey.astype(np.float32))
    floor = max(ink.MIN_CONTRAST, ink.NOISE_FACTOR * noise)
    full = page._full(contrast, floor)
    expected = rules.without_pale_lines(contrast, floor, full)
    assert expected is not contrast
    np.testing.assert_array_equal(
        js("return back(H.withoutPaleLines(grey(V.c), V.floor, V.full))", c=contrast, floor=floor, full=full), expected
    )
    weak = contrast > ink.WEAK * full
    expected = rules.without_lines(weak)
    assert (expected != weak).any()
    np.testing.assert_array_equal(js("return back(H.withoutLines(mask(V.m)))", m=weak.astype(int)), expected)


def test_the_marks_of_a_digit_are_chosen_as_in_python(js):
    darkness = ndimage.gaussian_filter(blobs(7, 90, 70, 0.2).astype(np.float32), 0.7)
    weak, strong = darkness > 0.3, darkness > 0.55
    expected, there = marks.digit_mask(weak, strong, darkness)
    found = js(
        """const d = H.digitMask(mask(V.weak), mask(V.strong), grey(V.dark));
        return [back(d.mask), d.marks.map((m) => [m.label, m.top, m.left, m.bottom, m.right, m.sides])]""",
        weak=weak.astype(int), strong=strong.astype(int), dark=darkness,
    )  # fmt: skip
    np.testing.assert_array_equal(found[0], expected)
    assert found[1] == [[m.label, m.top, m.left, m.bottom, m.right, m.sides] for m in there]


def test_the_network_is_the_shipped_one_in_half_precision(js, half):
    images = glyphs_of(10, 4)[0]
    found = np.array(
        js("return H.network.predict(net, V.images.map((image) => Uint8Array.from(image.flat())))", images=images)
    )
    np.testing.assert_allclose(found, half.predict(images), atol=2e-6)
    np.testing.assert_allclose(found, packaged.model().predict(images), atol=3e-3)


def same(found, half, grey, mode):
    """Whether the page reads what `hwr scan` reads, with the rounded weights and with the shipped ones."""
    expected = scan.read_grey(half, grey, mode).to_json()
    assert found["text"] == expected["text"] == scan.read_grey(packaged.model(), grey, mode).text
    for name in ("skipped", "notes"):
        assert found[name] == expected[name]
    for name in ("lines", "digits"):
        assert [one["box"] for one in found[name]] == [list(one["box"]) for one in expected[name]]
        confidences = [[one["confidence"] for one in of[name]] for of in (found, expected)]
        assert confidences[0] == pytest.approx(confidences[1], abs=1e-4)
    labels = [[[a["label"] for a in digit["alternatives"]] for digit in of["digits"]] for of in (found, expected)]
    assert labels[0] == labels[1]


def test_a_page_reads_as_hwr_scan_reads_it(js, half, picture):
    same(js(f"{AS_PICTURE} return H.scan(net, g)", g=picture), half, picture, "auto")


@pytest.mark.parametrize("mode", ["digit", "line", "page"])
def test_each_mode_reads_as_hwr_scan_does(js, half, mode):
    grey = composed(11, [3, 2]).grey
    same(js(f"{AS_PICTURE} return H.scan(net, g, V.mode)", g=grey, mode=mode), half, grey, mode)


def test_digits_that_touch_are_parted_as_in_python(js, half):
    glyphs = [255 - glyph[:, 7:21] for glyph in glyphs_of(6, 5)[0]]
    grey = np.pad(np.concatenate(glyphs, axis=1), 30, constant_values=255)
    grey = np.asarray(Image.fromarray(grey).resize((3 * grey.shape[1], 3 * grey.shape[0])))
    done = scan.steps(half, grey)
    assert len(done.read) > len(done.found)  # something was parted
    same(js(f"{AS_PICTURE} return H.scan(net, g, 'page')", g=grey), half, grey, "page")


def test_a_blank_picture_has_no_text(js):
    found = js(
        f"{AS_PICTURE} return ['auto', 'digit', 'line', 'page'].map((m) => H.scan(net, g, m).text)",
        g=np.full((60, 80), 230, np.uint8),
    )
    assert found == [""] * 4
