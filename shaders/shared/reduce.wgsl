// One value from those of all invocations of a workgroup. Shaders that import this say what a value is and how two
// become one, whichever comes first:
//   const INVOCATIONS: u32                      a power of 2
//   alias Value
//   fn joined(a: Value, b: Value) -> Value
var<workgroup> reduced: array<Value, INVOCATIONS>;

fn reduce(lane: u32, value: Value) -> Value {
    reduced[lane] = value;
    for (var step = INVOCATIONS / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step {
            reduced[lane] = joined(reduced[lane], reduced[lane + step]);
        }
    }
    return workgroupUniformLoad(&reduced[0]);
}
