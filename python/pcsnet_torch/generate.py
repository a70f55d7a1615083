"""Pictures of a machined part, sound and with defects: a turned aluminium flange on a dark mat, as a camera above
sees it.

A defect changes the part's surface (its height, its colour or how it reflects) and the picture follows, so defects get
the highlights and shadows of the light that falls on them, and their masks are known exactly. Metal is shaded by the
slopes its micro-facets would need to mirror a light into the camera (Beckmann's distribution, after Ward wider across
the turning marks than along them), which gives turned metal its two bright sectors.

Lengths are in pixels of the finished picture; fields are FINE x FINE, twice as fine. Every random choice follows from
the seed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from pcsnet_torch.errors import PcsnetError

SIDE = 320
OVERSAMPLE = 2
FINE = SIDE * OVERSAMPLE

# The flange's section: height over radius, at scale 1.
SECTION = ((0, 0), (36.5, 0), (37, 19), (39.5, 21), (64, 21), (66, 19.8), (67, 14.2), (69.5, 13.2), (70.5, 13),
           (121, 13), (123.5, 11), (124, 0), (400, 0))
RIM = 122  # where the outer chamfer lies
HOLES, HOLE_CIRCLE, HOLE_RADIUS = 6, 97, 9.5
MARKS = 1.3  # mean distance of turning marks

ALUMINIUM = np.array([0.90, 0.91, 0.92])
MAT = np.array([0.030, 0.034, 0.040])


@dataclass(frozen=True)
class Light:
    """Direction (azimuth, elevation: radians), strength, apparent size (as a spread of slopes) and colour."""

    azimuth: float
    elevation: float
    strength: float
    size: float
    colour: tuple

    def direction(self) -> tuple:
        """Unit vector towards the light: x, y, up."""
        flat = np.cos(self.elevation)
        return flat * np.cos(self.azimuth), flat * np.sin(self.azimuth), np.sin(self.elevation)


@dataclass(frozen=True)
class Scene:
    """What changes from one picture to the next besides the part: its place, the lights and the camera."""

    centre: tuple  # x, y
    angle: float  # of the first bolt hole, radians
    scale: float
    lights: tuple
    exposure: float
    focus: float  # sigma of the blur
    noise: float  # share of full scale at mid-grey

    @classmethod
    def draw(cls, rng) -> "Scene":
        """A station with a nest for the part and fixed lamps, none of them quite stable."""
        azimuth = np.radians(-128) + rng.normal(0, np.radians(7))
        key = Light(azimuth, np.radians(rng.normal(52, 2)), rng.normal(1, 0.06), 0.09, (1, 0.97, 0.92))
        fill = Light(azimuth + np.radians(rng.normal(150, 8)), np.radians(58), rng.normal(0.4, 0.05), 0.15,
                     (0.9, 0.96, 1))
        centre = SIDE / 2 + rng.uniform(-6, 6, 2)
        return cls(tuple(centre), rng.uniform(-0.09, 0.09), rng.uniform(0.975, 1.025), (key, fill),
                   rng.normal(1, 0.05), rng.uniform(0.35, 0.85), rng.uniform(0.006, 0.013))


@dataclass
class Surface:
    """What the camera looks at, as fields.

    height   above the mat
    colour   FINE x FINE x 3, linear: of reflections where metal, else of scattered light
    metal    0 to 1: share that mirrors instead of scattering
    across   spread of the micro-facets' slopes away from the centre
    along    the same along the turning marks
    marks    slope of the turning marks, away from the centre
    """

    height: np.ndarray
    colour: np.ndarray
    metal: np.ndarray
    across: np.ndarray
    along: np.ndarray
    marks: np.ndarray

    def cover(self, amount: np.ndarray, colour, metal: float, rough: float) -> None:
        """Another material in place of what is there, by `amount` from 0 to 1; it shows no turning marks."""
        self.colour = mix(self.colour, np.asarray(colour), amount[..., None])
        self.metal = mix(self.metal, metal, amount)
        self.across, self.along = mix(self.across, rough, amount), mix(self.along, rough, amount)
        self.marks = self.marks * (1 - amount)


def photograph(seed, defect: str = "") -> tuple:
    """(picture, mask) of a seed (a whole number or several): SIDE x SIDE x 3 uint8 and SIDE x SIDE bool.

    The same seed gives the same part, scene and sensor noise with and without a defect.
    """
    scene_rng, surface_rng, noise_rng, defect_rng = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4))
    scene = Scene.draw(scene_rng)
    surface = flange(scene, surface_rng)
    footprint = DEFECTS[defect](surface, scene, defect_rng) if defect else np.zeros((FINE, FINE))
    light = blurred(render(surface, scene), scene.focus)
    return develop(shrink(light), scene, noise_rng), shrink(blurred(footprint, 0.4)) > 0.4


# --- fields ---

Y, X = (np.mgrid[0:FINE, 0:FINE] + 0.5) / OVERSAMPLE


def mix(a, b, amount):
    return a + (b - a) * amount


def smoothstep(x, low, high):
    """0 below `low`, 1 above `high`, smooth between."""
    t = ((x - low) / (high - low)).clip(0, 1)
    return t * t * (3 - 2 * t)


def blurred(field: np.ndarray, sigma: float) -> np.ndarray:
    sigma = sigma * OVERSAMPLE
    return ndimage.gaussian_filter(field, (sigma, sigma) + (0,) * (field.ndim - 2), mode="nearest", truncate=3)


def shrink(field: np.ndarray) -> np.ndarray:
    """Means of OVERSAMPLE x OVERSAMPLE samples: what a sensor's pixel collects."""
    return field.reshape(SIDE, OVERSAMPLE, SIDE, OVERSAMPLE, *field.shape[2:]).mean((1, 3))


def clouds(rng, *sizes: float) -> np.ndarray:
    """Noise of unit deviation whose features have these sizes, the first the strongest."""
    total = np.zeros((FINE, FINE))
    for octave, size in enumerate(sizes):
        # Coarse noise is drawn coarsely, then stretched.
        step = max(1, int(size * OVERSAMPLE / 4))
        coarse = rng.standard_normal((FINE // step + 2,) * 2)
        coarse = ndimage.gaussian_filter(coarse, size * OVERSAMPLE / step / 2, mode="wrap")
        zoomed = coarse if step == 1 else ndimage.zoom(coarse, step, order=1)
        field = zoomed[:FINE, :FINE]
        total += field / field.std() * 0.6**octave
    return total / total.std()


def polar(scene: Scene) -> tuple:
    """Radius at scale 1 and angle of every sample about the part's centre."""
    x, y = X - scene.centre[0], Y - scene.centre[1]
    return np.hypot(x, y) / scene.scale, np.arctan2(y, x)


def holes(scene: Scene) -> np.ndarray:
    """Centres of the bolt holes, HOLES x 2 (x, y)."""
    angles = scene.angle + 2 * np.pi * np.arange(HOLES) / HOLES
    return scene.centre + HOLE_CIRCLE * scene.scale * np.stack([np.cos(angles), np.sin(angles)], 1)


# --- the sound part ---

def flange(scene: Scene, rng) -> Surface:
    """A sound part on its mat."""
    radius, angle = polar(scene)
    height = np.interp(radius, *zip(*SECTION)) * scene.scale
    for x, y in holes(scene):
        distance = np.hypot(X - x, Y - y) / scene.scale
        bored = np.interp(distance, (0, HOLE_RADIUS - 0.6, HOLE_RADIUS, HOLE_RADIUS + 1.6), (0, 0, 11.6, 13.2))
        height = np.where(distance < HOLE_RADIUS + 1.6, np.minimum(height, bored * scene.scale), height)
    metal = smoothstep(height, 0.5, 2)
    # The mat's rubber is pebbled; sound metal has faint handling marks and is not evenly dull.
    height = height + (1 - metal) * (0.35 * clouds(rng, 2.2, 1) + 0.3 * clouds(rng, 30))
    tone = 1 + 0.10 * clouds(rng, 60, 9, 3)[..., None]
    colour = mix(MAT * tone.clip(0.4, 2), ALUMINIUM * (1 + 0.02 * clouds(rng, 50, 12)[..., None]), metal[..., None])
    dull = 1 + 0.10 * clouds(rng, 35, 9)
    hub = radius < 68
    across, along = np.where(hub, 0.26, 0.32) * dull, np.where(hub, 0.10, 0.12) * dull
    surface = Surface(height, colour, metal, across, along, metal * turning_marks(radius, angle, rng))
    dust(surface, rng)
    return surface


def turning_marks(radius, angle, rng) -> np.ndarray:
    """Slopes of the grooves a lathe leaves: random from one to the next, long along the circle."""
    rings, sectors = int(180 / MARKS), 256
    fine = ndimage.gaussian_filter1d(rng.standard_normal((rings, sectors)), 18, axis=1, mode="wrap")
    single, grouped = rng.standard_normal((2, rings, 1))
    whole = single + 0.8 * ndimage.gaussian_filter1d(grouped, 2, axis=0)
    grooves = 0.075 * whole + 0.045 * fine / fine.std()
    place = np.stack([radius / MARKS, (angle / (2 * np.pi) % 1) * sectors])
    return ndimage.map_coordinates(grooves, place, order=1, mode="grid-wrap")


def dust(surface: Surface, rng) -> None:
    """A few specks, hardly visible, as lie on every mat and part."""
    for _ in range(rng.integers(8, 18)):
        x, y = rng.uniform(0, SIDE, 2)
        speck = np.exp(-((X - x) ** 2 + (Y - y) ** 2) / rng.uniform(0.15, 0.5))
        surface.cover(speck * rng.uniform(0.1, 0.35), (0.3, 0.29, 0.27), 0, 0.4)


# --- light ---

def render(surface: Surface, scene: Scene) -> np.ndarray:
    """Light that reaches the camera, linear: FINE x FINE x 3."""
    dy, dx = np.gradient(surface.height, 1 / OVERSAMPLE)
    _, angle = polar(scene)
    outward = dx * np.cos(angle) + dy * np.sin(angle) + surface.marks
    around = dy * np.cos(angle) - dx * np.sin(angle)
    upright = 1 / np.sqrt(1 + outward**2 + around**2)
    open_sky = openness(surface.height)
    # The room: brighter above one side; a mirror shows twice its own tilt.
    side = scene.lights[0].azimuth
    room = 0.15 + 0.10 * np.tanh(-1.5 * (dx * np.cos(side) + dy * np.sin(side)))
    mirrored, scattered = (np.repeat(f[..., None], 3, axis=2) for f in (room * open_sky, 0.30 * upright * open_sky))
    for light in scene.lights:
        lx, ly, lz = light.direction()
        lit = 1 - shadow(surface.height, light)
        # Slopes of a facet that mirrors this light upwards: minus the half vector's flat part over its upright part.
        tilt = np.hypot(lx, ly) / (1 + lz)
        turn = light.azimuth - angle
        off_across = -tilt * np.cos(turn) - outward
        off_along = -tilt * np.sin(turn) - around
        across, along = np.hypot(surface.across, light.size), np.hypot(surface.along, light.size)
        facets = np.exp(-0.5 * ((off_across / across) ** 2 + (off_along / along) ** 2)) / (across * along)
        facing = ((lz - lx * dx - ly * dy) * upright).clip(0)
        colour = np.array(light.colour) * light.strength
        mirrored += (0.027 * facets * facing**0.5 * lit)[..., None] * colour
        scattered += (facing * lit)[..., None] * colour
    metal = surface.metal[..., None]
    return surface.colour * (metal * (mirrored + 0.06 * scattered) + (1 - metal) * (scattered + 0.1 * mirrored))


def openness(height: np.ndarray) -> np.ndarray:
    """Share of the sky a point sees, from how deep it lies among its surroundings."""
    depth = sum((blurred(height, size) - height).clip(0) / size for size in (3, 8))
    return 1 / (1 + 1.1 * depth)


def shadow(height: np.ndarray, light: Light) -> np.ndarray:
    """0 to 1: how much of a light higher places hide; soft, the more the farther away they are."""
    x, y, rise = np.cos(light.azimuth), np.sin(light.azimuth), np.tan(light.elevation)
    hidden = np.zeros_like(height)
    for step in np.arange(1, 22 / rise, 1.5):
        shift = (-y * step * OVERSAMPLE, -x * step * OVERSAMPLE)
        above = ndimage.shift(height, shift, order=1, mode="nearest") - height - step * rise
        hidden = np.maximum(hidden, (above / (0.4 + 0.25 * step)).clip(0, 1))
    return blurred(hidden, 0.6)


def develop(light: np.ndarray, scene: Scene, rng) -> np.ndarray:
    """Linear light -> 8-bit sRGB, through a lens that darkens corners and a sensor that adds noise."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE - 0.5
    light = light * (1 - 0.35 * (x**2 + y**2))[..., None] * scene.exposure * 1.35
    light = 1 - np.exp(-light)  # highlights roll off instead of clipping
    # Shot noise grows with the root of the light; demosaicing spreads it a little.
    noise = ndimage.gaussian_filter(rng.standard_normal(light.shape), (0.45, 0.45, 0))
    light = light + noise * 1.6 * scene.noise * np.sqrt(light * 0.5 + 0.004)
    light = light.clip(0, 1)
    srgb = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * srgb).round().astype(np.uint8)


# --- defects: each changes the surface and returns where, FINE x FINE, 0 to 1 ---

def on_metal(scene: Scene, rng, margin: float) -> tuple:
    """A random place (x, y) on the hub's or the flange's face, not nearer than `margin` to an edge or a hole."""
    while True:
        hub = rng.random() < 0.25
        low, high = (40 + margin / 2, 65 - margin / 2) if hub else (70 + margin, 121 - margin)
        radius, angle = np.sqrt(rng.uniform(low**2, high**2)) * scene.scale, rng.uniform(0, 2 * np.pi)
        place = np.array(scene.centre) + radius * np.array([np.cos(angle), np.sin(angle)])
        if np.hypot(*(holes(scene) - place).T).min() > HOLE_RADIUS + margin:
            return tuple(place)


def path_field(start: tuple, length: float, bend: float, rng, heading=None) -> tuple:
    """A wandering line: (distance of every sample to it, position along it of the nearest point, 0 to 1)."""
    count = int(length * 8)
    turning = ndimage.gaussian_filter1d(rng.standard_normal(count), count / 6, mode="nearest")
    turning = turning / (np.abs(turning).max() + 1e-9) * bend / count
    heading = (rng.uniform(0, 2 * np.pi) if heading is None else heading) + np.cumsum(turning)
    points = np.stack([np.cumsum(np.cos(heading)), np.cumsum(np.sin(heading))]) / 8
    points += np.array(start)[:, None] - points.mean(1, keepdims=True)  # the start is its middle
    column, row = (points * OVERSAMPLE).astype(int).clip(0, FINE - 1)
    along = np.full((FINE, FINE), -1.0)
    along[row, column] = np.linspace(0, 1, count)
    distance, nearest = ndimage.distance_transform_edt(along < 0, return_indices=True)
    return ndimage.gaussian_filter(distance / OVERSAMPLE, 0.7), along[tuple(nearest)]


def blob(place: tuple, radius: float, ragged: float, rng) -> np.ndarray:
    """0 at a place, about 1 at `radius` from it, with a ragged outline and random elongation."""
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1, 1.5)
    x, y = X - place[0], Y - place[1]
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return np.hypot(u / stretch, v * stretch) / radius + ragged * clouds(rng, radius * 0.8, radius * 0.3)


def scratch(surface: Surface, scene: Scene, rng) -> np.ndarray:
    """One to three fine furrows side by side, with raised edges, fading at their ends."""
    footprint = np.zeros((FINE, FINE))
    place, heading, length = np.array(on_metal(scene, rng, 5)), rng.uniform(0, 2 * np.pi), rng.uniform(30, 85)
    for _ in range(rng.integers(1, 4)):
        start = place + rng.normal(0, 2.5, 2)
        distance, along = path_field(start, length * rng.uniform(0.6, 1), 0.35, rng, heading + rng.normal(0, 0.05))
        width = rng.uniform(0.65, 1.0)
        fade = smoothstep(np.minimum(along, 1 - along), 0, rng.uniform(0.1, 0.4)) * surface.metal
        furrow = np.exp(-((distance / width) ** 2)) * fade
        edge = np.exp(-(((distance - 1.6 * width) / width) ** 2)) * fade
        surface.height = surface.height - rng.uniform(0.65, 1.1) * furrow + 0.25 * edge
        surface.cover(0.8 * furrow, ALUMINIUM, 1, 0.25)
        footprint = np.maximum(footprint, (distance < 1.4 * width) * (fade > 0.25))
    return footprint


def dent(surface: Surface, scene: Scene, rng) -> np.ndarray:
    """A blow: a bowl with a raised rim, its ground scuffed."""
    radius = rng.uniform(4.5, 9)
    shape = blob(on_metal(scene, rng, 8), radius, 0.07, rng)
    bowl, rim = np.exp(-(shape**3)) * surface.metal, np.exp(-(((shape - 1.25) / 0.3) ** 2)) * surface.metal
    surface.height = surface.height - radius * rng.uniform(0.22, 0.36) * bowl + 0.06 * radius * rim
    surface.cover(0.7 * bowl, ALUMINIUM * 0.95, 1, 0.2)
    return (shape < 1.35) * surface.metal


def corrosion(surface: Surface, scene: Scene, rng) -> np.ndarray:
    """A spreading spot: chalky oxide, brown rust from a foreign particle or a dark stain."""
    radius = rng.uniform(6, 14)
    shape = blob(on_metal(scene, rng, 7), radius, 0.28, rng)
    amount = smoothstep(-shape, -1.25, -0.6) * surface.metal
    grain = clouds(rng, 1.5, 4)
    tones = (0.52, 0.51, 0.47), (0.15, 0.08, 0.045), (0.08, 0.07, 0.06)
    tone = np.array(tones[rng.integers(3)]) * (1 + 0.22 * grain[..., None])
    surface.cover(amount * (0.8 + 0.1 * grain).clip(0, 0.95), tone.clip(0.01, 1), 0.15, 0.5)
    surface.height = surface.height + 0.3 * amount * grain
    return (amount > 0.3).astype(float)


def chip(surface: Surface, scene: Scene, rng) -> np.ndarray:
    """A piece broken off the rim; the break is rough and falls away towards the mat."""
    angle = rng.uniform(0, 2 * np.pi)
    radius = (RIM + rng.uniform(0, 3)) * scene.scale
    place = scene.centre[0] + radius * np.cos(angle), scene.centre[1] + radius * np.sin(angle)
    shape = blob(place, rng.uniform(6, 12), 0.14, rng)
    lost = smoothstep(-shape, -1.08, -0.95) * surface.metal
    rough = clouds(rng, 2.5, 1.2)
    floor = (13 * smoothstep(shape, 0.25, 1.2) + 0.5 * rough).clip(0.3)
    surface.height = mix(surface.height, np.minimum(surface.height, floor), lost)
    surface.cover(lost, ALUMINIUM * 0.62 * (1 + 0.12 * rough[..., None]), 0.75, 0.32)
    return lost


def blocked_hole(surface: Surface, scene: Scene, rng) -> np.ndarray:
    """A bolt hole full of swarf or of cutting paste, or half so."""
    x, y = holes(scene)[rng.integers(HOLES)]
    distance = np.hypot(X - x, Y - y) / scene.scale
    turn = rng.uniform(0, 2 * np.pi)
    beyond = (X - x) * np.cos(turn) + (Y - y) * np.sin(turn) + 1.2 * clouds(rng, 4, 1.5)
    filled = smoothstep(beyond, *(rng.uniform(-9, 1) + np.array([-0.6, 0.6]))) * (distance < HOLE_RADIUS - 0.3)
    lumps = clouds(rng, 5, 1.8, 0.9)
    surface.height = mix(surface.height, rng.uniform(7, 11) + 0.9 * lumps, filled)
    if rng.random() < 0.5:
        surface.cover(filled, ALUMINIUM * 0.75, 0.9, 0.35)
    else:
        surface.cover(filled, np.array([0.20, 0.17, 0.12]) * (1 + 0.25 * lumps[..., None]).clip(0.3), 0.15, 0.3)
    return filled


def fibre(surface: Surface, scene: Scene, rng) -> np.ndarray:
    """A hair or thread that lies on the part."""
    distance, _ = path_field(on_metal(scene, rng, 4), rng.uniform(40, 110), rng.uniform(2, 7), rng)
    width = rng.uniform(0.6, 1.0)
    thread = smoothstep(-distance, -width - 0.35, -width + 0.25)
    surface.height = ndimage.maximum_filter(surface.height, 5) * thread + surface.height * (1 - thread) + 0.8 * thread
    tones = (0.02, 0.017, 0.015), (0.05, 0.09, 0.22), (0.30, 0.05, 0.04), (0.62, 0.60, 0.55)
    surface.cover(thread, tones[rng.integers(4)], 0.05, 0.4)
    return thread


DEFECTS = {f.__name__: f for f in (scratch, dent, corrosion, chip, blocked_hole, fibre)}


# --- folders ---

def generate(folder, seed: int, train: int = 8, good: int = 20, defects: int = 8) -> int:
    """Writes a set of pictures in the MVTec AD layout, `defects` of each kind; returns how many."""
    if seed < 0:
        raise PcsnetError(f"the seed is {seed}, must be 0 or more")
    folder = Path(folder)
    wanted = [("train/good", "", train), ("test/good", "", good), *((f"test/{d}", d, defects) for d in DEFECTS)]
    for place, (where, defect, count) in enumerate(wanted):
        for i in range(count):
            picture, mask = photograph((seed, place, i), defect)
            save(folder / where / f"{i:03}.png", picture)
            if defect:
                save(folder / "ground_truth" / defect / f"{i:03}_mask.png", mask.astype(np.uint8) * 255)
    return sum(count for _, _, count in wanted)


def save(path: Path, pixels: np.ndarray) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    except OSError as error:
        raise PcsnetError(f"{path}: cannot be written: {error}") from None
