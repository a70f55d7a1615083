// What the two kernels of a coreset's choice agree on.
#import reduce

// Rows looked at in one round.
const CANDIDATES: u32 = 64u;
// Larger than any squared distance.
const FAR: f32 = 3e38;
// A distance that rounding may have made of none, as a share of |x|^2: copies of a row are not chosen again.
const SAME: f32 = 1e-6;

// A row, its squared distance to the nearest chosen one, and the invocation that found it.
struct Farthest {
    squared: f32,
    row: u32,
    lane: u32,
}

alias Value = Farthest;

// The farther row; of two the first.
fn joined(a: Farthest, b: Farthest) -> Farthest {
    if b.squared > a.squared || (b.squared == a.squared && b.row < a.row) {
        return b;
    }
    return a;
}
