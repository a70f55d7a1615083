//! Pillow's Lanczos resize from a host's texture or buffer: `lanczos_columns`, `lanczos_rows`.

use super::groups_of_64;
use crate::Result;
use crate::gpu::{Binding, Gpu, Graph, Kernel, Operand, Uploader, uniforms};

/// Where the photograph's pixels stand.
pub(crate) enum Photograph {
    Texture {
        view: Operand,
        /// The texel at the photograph's upper left corner.
        origin: [u32; 2],
        /// Whether loaded texels are linear light.
        linear: bool,
        /// Whether the first channel is all there is.
        grey: bool,
    },
    /// 8-bit RGBA, from pixel `first` on, `stride` pixels from row to row.
    Buffer { buffer: Operand, first: u32, stride: u32 },
}

/// The pixels of an axis and their weights, on the GPU.
pub(crate) struct Axis {
    windows: Operand,
    weights: Operand,
    /// Pixels of the input that any window touches: the first, and how many.
    first: u32,
    touched: u32,
    /// Pixels of the output.
    length: u32,
}

impl Axis {
    /// The windows of the output's pixels: the first pixel of the input that each reads, and the weights from there on.
    pub(crate) async fn new(gpu: &Gpu, taps: &[(usize, Vec<i32>)]) -> Result<Self> {
        let first = taps.iter().map(|(first, _)| *first).min().unwrap_or(0);
        let end = taps.iter().map(|(first, weights)| first + weights.len()).max().unwrap_or(0);
        let mut windows = Vec::with_capacity(taps.len() + 1);
        let mut weights: Vec<i32> = Vec::new();
        for (start, window) in taps {
            windows.push([(start - first) as u32, weights.len() as u32]);
            weights.extend(window);
        }
        windows.push([0, weights.len() as u32]);
        let mut uploader = Uploader::new(gpu);
        Ok(Self {
            windows: (&uploader.buffer("resize windows", bytemuck::cast_slice(&windows)).await?).into(),
            weights: (&uploader.buffer("resize weights", bytemuck::cast_slice(&weights)).await?).into(),
            first: first as u32,
            touched: (end - first) as u32,
            length: taps.len() as u32,
        })
    }
}

/// Resizes a photograph to `columns` x `rows` pixels of 8-bit RGBA in `out`, from its pixel `out_offset` on.
pub(crate) fn lanczos(
    graph: &mut Graph<'_>,
    label: &str,
    photograph: Photograph,
    [columns, rows]: [&Axis; 2],
    out: Operand,
    out_offset: u32,
) {
    uniforms! {
        struct Columns {
            left: u32,
            top: u32,
            rows: u32,
            width: u32,
            stride: u32,
            linear: u32,
            grey: u32,
        }
    }
    uniforms! {
        struct Rows {
            width: u32,
            height: u32,
            out_offset: u32,
        }
    }
    let (width, height) = (columns.length, rows.length);
    let shared = Columns { left: 0, top: 0, rows: rows.touched, width, stride: 0, linear: 0, grey: 0 };
    let (defines, source, params) = match photograph {
        Photograph::Texture { view, origin: [left, top], linear, grey } => {
            let (left, top) = (left + columns.first, top + rows.first);
            (
                vec!["TEXTURE"],
                Binding::read(view),
                Columns { left, top, linear: linear.into(), grey: grey.into(), ..shared },
            )
        }
        Photograph::Buffer { buffer, first, stride } => {
            let params = Columns { left: first + columns.first, top: rows.first, stride, ..shared };
            (Vec::new(), Binding::read(buffer), params)
        }
    };
    let half = graph.tensor(&format!("{label}.columns"), [1, rows.touched, width, 1]);
    let kernel = Kernel { defines, ..Kernel::new("lanczos_columns") };
    let bindings =
        [source, Binding::read(columns.windows.clone()), Binding::read(columns.weights.clone()), Binding::write(half)];
    let workgroups = [groups_of_64(width), rows.touched, 1];
    graph.dispatch(&format!("{label}.columns"), kernel, &params, bindings, workgroups);
    let bindings = [
        Binding::read(half),
        Binding::read(rows.windows.clone()),
        Binding::read(rows.weights.clone()),
        Binding::write(out),
    ];
    let workgroups = [groups_of_64(width), height, 1];
    let params = Rows { width, height, out_offset };
    graph.dispatch(&format!("{label}.rows"), Kernel::new("lanczos_rows"), &params, bindings, workgroups);
}
