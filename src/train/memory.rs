//! What is trained, in the GPU's memory: values, their gradients, and what the optimiser remembers of these.

use crate::gpu::{Gpu, Graph, Schedule, Tensor, read_buffers};
use crate::ops::{Convolution, Epilogue, Normed, Optimised, Rates, TrainedConv, TrainedNorm, adam};
use crate::weights::{Parameter, Role, Source};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// PyTorch's `weight_decay`.
const WEIGHT_DECAY: f32 = 1e-5;

/// Which of the two learning rates a parameter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// The descriptor and the radius.
    Adaptor = 0,
    /// The decoder.
    Cas = 1,
}

impl Group {
    pub(super) const COUNT: u32 = 2;
}

/// Values of parameters by their PyTorch names, as PyTorch orders them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values(pub BTreeMap<String, Vec<f32>>);

impl Values {
    /// The values of a parameter that is there.
    pub(super) fn of(&mut self, name: &str) -> &mut Vec<f32> {
        self.0.entry(name.to_owned()).or_default()
    }
}

impl Source for Values {
    fn values(&self, parameter: &Parameter) -> Result<Vec<f32>> {
        let known = self.0.get(&parameter.name).cloned();
        known.ok_or_else(|| Error::MissingTensor {
            tensor: parameter.name.clone(),
            files: "the trainer's memory".to_owned(),
            expected: parameter.shape.clone(),
        })
    }
}

/// How values stand in memory.
pub(super) enum Layout {
    /// The weights of `inputs` of a convolution's input channels, from `first` on: `[taps][inputs][outputs]`.
    Convolution { of: Convolution, first: u32, inputs: u32 },
    /// A CoordConv, whose input is joined by row, column and a one: `[channels + 4][channels]`. The row before the
    /// last is the bias, the last stays 0.
    CoordConv(Convolution),
    /// A 1 x 1 convolution to one channel: its weights, its bias, three zeros.
    Projection(Convolution),
    /// A number of each channel.
    Channels(Parameter),
    /// A single number.
    Scalar { name: String },
}

impl Layout {
    /// The weights of a convolution with all its input channels.
    pub(super) fn whole(of: &Convolution) -> Self {
        Self::Convolution { of: of.clone(), first: 0, inputs: of.inputs }
    }

    /// Rows and columns in memory.
    fn shape(&self) -> [u32; 2] {
        match self {
            Self::Convolution { of, inputs, .. } => [of.geometry.kernel.pow(2) * inputs, of.outputs],
            Self::CoordConv(of) => [of.inputs + 2, of.outputs],
            Self::Projection(of) => [1, of.inputs + 4],
            Self::Channels(parameter) => [1, parameter.shape[0] as u32],
            Self::Scalar { .. } => [1, 1],
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        match self {
            Self::Convolution { of, .. } => vec![of.weight()],
            Self::CoordConv(of) | Self::Projection(of) => of.parameters(),
            Self::Channels(parameter) => vec![parameter.clone()],
            Self::Scalar { name } => vec![Parameter::new(name.clone(), Role::Bias, &[1])],
        }
    }

    /// Which element of which parameter the value at a row and column is; none for what only fills.
    fn element(&self, row: usize, column: usize) -> Option<(usize, usize)> {
        // Weights, a bias behind them, and zeros behind that.
        let before_bias =
            |place: usize, weights: u32, weight: usize, bias: usize| match place.checked_sub(weights as usize) {
                None => Some((0, weight)),
                Some(0) => Some((1, bias)),
                Some(_) => None,
            };
        match self {
            Self::Convolution { of, first, inputs } => {
                let [first, inputs, total] = [*first, *inputs, of.inputs].map(|count| count as usize);
                let (tap, input) = (row / inputs, row % inputs);
                Some((0, (column * total + first + input) * of.geometry.kernel.pow(2) as usize + tap))
            }
            Self::CoordConv(of) => before_bias(row, of.inputs, column * of.inputs as usize + row, column),
            Self::Projection(of) => before_bias(column, of.inputs, column, 0),
            Self::Channels(_) | Self::Scalar { .. } => Some((0, column)),
        }
    }

    /// The element of each value in memory.
    fn elements(&self) -> impl Iterator<Item = Option<(usize, usize)>> + '_ {
        let [rows, columns] = self.shape().map(|size| size as usize);
        (0..rows).flat_map(move |row| (0..columns).map(move |column| self.element(row, column)))
    }

    /// Values as they stand in memory.
    fn pack(&self, source: &impl Source) -> Result<Vec<f32>> {
        let values = self.parameters().iter().map(|parameter| source.values(parameter)).collect::<Result<Vec<_>>>()?;
        Ok(self.elements().map(|element| element.map_or(0.0, |(parameter, index)| values[parameter][index])).collect())
    }

    /// Puts what stands in memory where PyTorch has it.
    fn unpack(&self, memory: &[f32], values: &mut Values) {
        for (number, parameter) in self.parameters().iter().enumerate() {
            let all = values.of(&parameter.name);
            all.resize(parameter.shape.iter().product(), 0.0);
            let elements = self.elements().zip(memory).filter_map(|(element, &value)| Some((element?, value)));
            elements.filter(|((of, _), _)| *of == number).for_each(|((_, index), value)| all[index] = value);
        }
    }
}

/// A parameter, or two that are one matrix.
struct Trained {
    layout: Layout,
    group: Group,
    values: Tensor,
    moments: Tensor,
    gradient: Option<Tensor>,
}

/// A parameter of a [`Memory`].
#[derive(Clone, Copy)]
pub(super) struct Place {
    index: usize,
    pub values: Tensor,
}

/// A convolution whose weights are trained.
#[derive(Clone, Copy)]
pub(super) struct Conv {
    place: Place,
    conv: TrainedConv,
}

/// A BatchNorm whose scale and shift are trained.
#[derive(Clone, Copy)]
pub(super) struct Norm {
    scale: Place,
    shift: Place,
    norm: TrainedNorm,
}

/// All that is trained, in the order it was declared.
#[derive(Default)]
pub(super) struct Memory(Vec<Trained>);

/// The state of training, parameter by parameter: values, then what the optimiser remembers.
pub(super) type State = Vec<[Vec<f32>; 2]>;

impl Memory {
    pub(super) fn declare(&mut self, graph: &mut Graph<'_>, layout: Layout, group: Group) -> Place {
        let [rows, columns] = layout.shape();
        let values = graph.external("values", [1, rows, 1, columns]);
        let moments = graph.external("moments", [3, rows, 1, columns]);
        self.0.push(Trained { layout, group, values, moments, gradient: None });
        Place { index: self.0.len() - 1, values }
    }

    pub(super) fn conv(&mut self, graph: &mut Graph<'_>, layout: Layout, group: Group) -> Conv {
        let kernel = if let Layout::Convolution { of, .. } = &layout { of.geometry.kernel } else { 1 };
        let place = self.declare(graph, layout, group);
        Conv { place, conv: TrainedConv { weights: place.values, kernel } }
    }

    /// The BatchNorm behind a convolution, where there is one. What it remembers of batches is kept with what is
    /// trained.
    pub(super) fn norm(&mut self, graph: &mut Graph<'_>, of: &Convolution) -> Option<Norm> {
        let mut declare = |parameter| self.declare(graph, Layout::Channels(parameter), Group::Adaptor);
        let [scale, shift, mean, variance] = of.norm()?.map(&mut declare);
        let [mean, variance] = [mean, variance].map(|place| place.values);
        let norm = TrainedNorm { scale: scale.values, shift: shift.values, mean, variance };
        Some(Norm { scale, shift, norm })
    }

    /// Says what the gradient of a parameter is.
    pub(super) fn set_gradient(&mut self, place: Place, gradient: Tensor) {
        self.0[place.index].gradient = Some(gradient);
    }

    /// Appends a step of the optimiser for all parameters that have gradients.
    pub(super) fn optimise(&self, graph: &mut Graph<'_>, rates: Tensor) {
        for (number, trained) in self.0.iter().enumerate() {
            let Trained { group, values, moments, gradient: Some(gradient), .. } = *trained else { continue };
            let rates = Rates { rates, group: group as u32, weight_decay: WEIGHT_DECAY };
            adam(graph, &format!("adam.{number}"), Optimised { values, gradient, moments }, rates);
        }
    }

    /// Writes values, with an optimiser that remembers nothing.
    pub(super) async fn write(&self, gpu: &Gpu, schedule: &Schedule, source: &impl Source) -> Result<()> {
        let start = |trained: &Trained| {
            let values = trained.layout.pack(source)?;
            let nothing = vec![0.0; 3 * values.len()];
            Ok([values, nothing])
        };
        let state: State = self.0.iter().map(start).collect::<Result<_>>()?;
        self.set_state(gpu, schedule, &state).await
    }

    pub(super) async fn set_state(&self, gpu: &Gpu, schedule: &Schedule, state: &State) -> Result<()> {
        for (trained, [values, moments]) in self.0.iter().zip(state) {
            schedule.write(gpu, trained.values, values).await?;
            schedule.write(gpu, trained.moments, moments).await?;
        }
        Ok(())
    }

    pub(super) async fn state(&self, gpu: &Gpu, schedule: &Schedule) -> Result<State> {
        let tensors = self.0.iter().flat_map(|trained| [trained.values, trained.moments]);
        let sources: Vec<_> = tensors.map(|tensor| (schedule.buffer(tensor), tensor.bytes())).collect();
        let mut read = read_buffers(gpu, &sources).await?.into_iter();
        Ok(self.0.iter().map(|_| [read.next().unwrap_or_default(), read.next().unwrap_or_default()]).collect())
    }

    /// Whether a state is one that training can go on from.
    ///
    /// # Errors
    /// [`Error::Training`] names a parameter that has come to hold what is no number, or whose gradients were nothing
    /// but weight decay's: no way leads to it from the losses. The radius has such where all distances are as wanted.
    pub(super) fn ensure_sound(&self, state: &State) -> Result<()> {
        for (trained, [values, moments]) in self.0.iter().zip(state) {
            let name = &trained.layout.parameters()[0].name;
            let refuse =
                |what: &str| Err(Error::Training(format!("`{name}` {what}; the state before this epoch stands")));
            if values.iter().chain(moments).any(|value| !value.is_finite()) {
                return refuse("has come to hold values that are no numbers");
            }
            let largest = |values: &[f32]| values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            // Values have shrunk or grown by a step or two since.
            let of_decay = 2.0 * WEIGHT_DECAY * largest(values);
            let is_learned = trained.gradient.is_some() && !matches!(trained.layout, Layout::Scalar { .. });
            if is_learned && largest(&moments[..values.len()]) <= of_decay {
                return refuse("has had no gradient in an epoch");
            }
        }
        Ok(())
    }

    /// The values by their names.
    pub(super) fn named(&self, state: &State) -> Values {
        let mut values = Values::default();
        for (trained, [memory, _]) in self.0.iter().zip(state) {
            trained.layout.unpack(memory, &mut values);
        }
        values
    }
}

impl Conv {
    pub(super) fn write(
        self,
        graph: &mut Graph<'_>,
        label: &str,
        x: Tensor,
        out: crate::gpu::Slice,
        epilogue: Epilogue<'_>,
    ) {
        self.conv.write(graph, label, x, out, epilogue);
    }

    pub(super) fn input_gradient(
        self,
        graph: &mut Graph<'_>,
        label: &str,
        dy: Tensor,
        epilogue: Epilogue<'_>,
    ) -> Tensor {
        self.conv.input_gradient(graph, &format!("{label}.input_gradient"), dy, epilogue)
    }

    /// The same of its leading input channels alone, where the kernel is 1 x 1.
    pub(super) fn of_leading_inputs(self, graph: &mut Graph<'_>, count: u32) -> Self {
        graph.ensure_equal("kernel of a convolution's leading inputs", self.conv.kernel, 1);
        let weights = self.conv.weights.leading_rows(count);
        Self { conv: TrainedConv { weights, ..self.conv }, ..self }
    }

    /// Notes the gradient of the weights.
    pub(super) fn learn(self, memory: &mut Memory, graph: &mut Graph<'_>, label: &str, x: Tensor, dy: Tensor) {
        let gradient = self.conv.weight_gradient(graph, &format!("{label}.weight_gradient"), x, dy);
        memory.set_gradient(self.place, gradient);
    }
}

impl Norm {
    /// `relu(batch_norm(x))`, see [`TrainedNorm::write`].
    pub(super) fn write(self, graph: &mut Graph<'_>, label: &str, x: Tensor, groups: u32) -> Normed {
        self.norm.write(graph, label, x, groups)
    }

    /// Notes the gradients of scale and shift; gives that of the input.
    pub(super) fn learn(
        self,
        memory: &mut Memory,
        graph: &mut Graph<'_>,
        label: &str,
        passed: Normed,
        d_output: Tensor,
    ) -> Tensor {
        let gradients = self.norm.gradients(graph, &format!("{label}.gradient"), passed, d_output);
        memory.set_gradient(self.scale, gradients.scale);
        memory.set_gradient(self.shift, gradients.shift);
        gradients.input
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Geometry;

    fn counting(parameter: &Parameter) -> Vec<f32> {
        let base = if parameter.role == Role::Bias { 1000.0 } else { 0.0 };
        (0..parameter.shape.iter().product::<usize>()).map(|index| base + index as f32).collect()
    }

    #[test]
    fn values_come_back_in_pytorchs_order() {
        let pointwise = |name: &str, channels| Convolution::new(name, channels, Geometry::POINTWISE).biased();
        let layouts = [
            Layout::whole(&Convolution::new("cas.a", [4, 8], Geometry::SIDE_3)),
            Layout::CoordConv(pointwise("adaptor.b", [4, 6])),
            Layout::Projection(pointwise("cas.c", [1, 8])),
            Layout::Channels(Parameter::new("adaptor.d".to_owned(), Role::NormScale, &[8])),
            Layout::Scalar { name: "adaptor.r".to_owned() },
        ];
        for layout in layouts {
            let mut values = Values::default();
            layout.unpack(&layout.pack(&counting).expect("all are known"), &mut values);
            for parameter in layout.parameters() {
                assert_eq!(values.0[&parameter.name], counting(&parameter), "{}", parameter.name);
            }
        }
    }

    /// As the kernels and `taps_inputs_outputs` have them.
    #[test]
    fn convolutions_stand_as_kernels_read_them() {
        let packed = Layout::whole(&Convolution::new("cas.a", [4, 8], Geometry::SIDE_3));
        let packed = packed.pack(&counting).expect("all are known");
        let parameter = Parameter::new(String::new(), Role::Weight, &[4, 8, 3, 3]);
        assert_eq!(packed, crate::ops::taps_inputs_outputs(&counting(&parameter), [4, 8, 9], 8));
        let of = Convolution::new("cas.res1.0", [4, 8], Geometry::POINTWISE);
        let whole = Layout::whole(&of).pack(&counting).expect("all are known");
        let parts = [0, 4].map(|first| Layout::Convolution { of: of.clone(), first, inputs: 4 });
        assert_eq!(parts.map(|part| part.pack(&counting).expect("all are known")).concat(), whole);
    }
}
