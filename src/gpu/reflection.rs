//! Holds what is bound to a kernel against its shader, as naga reads it: the layout of the uniform block, and what the
//! shader does with each operand.

use super::binding::{Access, Binding};
use super::uniforms::Block;
use super::{Field, Kernel, shaders};
use naga::valid::{Capabilities, GlobalUse, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Expression, GlobalVariable, Handle, Literal, Module, ShaderStage, TypeInner};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A shader, parsed and validated.
struct Reflection {
    module: Module,
    info: ModuleInfo,
}

/// Panics where a dispatch does not fit its shader.
pub(super) fn check(label: &str, kernel: &Kernel, uniforms: &Block, bindings: &[Binding]) {
    let reflection = Reflection::of(kernel);
    assert_layout(label, &reflection.uniform_block(), (uniforms.fields, uniforms.size()));
    let accesses: Vec<Access> = bindings.iter().map(|binding| binding.access).collect();
    assert_accesses(label, &reflection.accesses(bindings.len()), &accesses);
}

/// Panics where a struct does not have the layout of a shader's uniform block.
pub(crate) fn check_layout(kernel: &Kernel, fields: &[Field], size: usize) {
    assert_layout(&kernel.label(), &Reflection::of(kernel).uniform_block(), (fields, size));
}

/// The value of a constant of a kernel's shader.
pub(crate) fn constant(kernel: &Kernel, name: &str) -> f64 {
    let module = &Reflection::of(kernel).module;
    let found = module.constants.iter().find(|(_, constant)| constant.name.as_deref() == Some(name));
    let (_, constant) = found.expect("a constant of the shader");
    match module.global_expressions[constant.init] {
        Expression::Literal(Literal::U32(value)) => value.into(),
        Expression::Literal(Literal::F32(value)) => value.into(),
        ref other => panic!("{name} is {other:?}"),
    }
}

/// Bytes of memory that a workgroup of a kernel shares, and its invocations.
pub(crate) fn workgroup(kernel: &Kernel) -> [u32; 2] {
    let module = &Reflection::of(kernel).module;
    let shared = module.global_variables.iter().filter(|(_, global)| global.space == AddressSpace::WorkGroup);
    let bytes = shared.map(|(_, global)| module.types[global.ty].inner.size(module.to_ctx())).sum();
    [bytes, module.entry_points[0].workgroup_size.iter().product()]
}

fn assert_layout(
    label: &str,
    (members, span): &(Vec<(String, usize, usize)>, usize),
    (fields, size): (&[Field], usize),
) {
    let fields = fields.iter().filter(|field| !field.name.starts_with('_'));
    let fields: Vec<_> = fields.map(|field| (field.name.to_owned(), field.offset, field.size)).collect();
    assert_eq!((&fields, size), (members, *span), "{label}: Rust's uniform block is not the shader's");
}

fn assert_accesses(label: &str, shader: &[Access], stated: &[Access]) {
    for (index, (shader, stated)) in shader.iter().zip(stated).enumerate() {
        // What a shader does not look at with some parameters it may read with others.
        let agree = shader == stated || *stated == Access::None;
        assert!(agree, "{label}, binding {}: stated as {stated:?}, the shader does {shader:?}", index + 1);
    }
}

impl Reflection {
    fn of(kernel: &Kernel) -> Arc<Self> {
        static KNOWN: Mutex<Option<HashMap<String, Arc<Reflection>>>> = Mutex::new(None);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{} {:?}", kernel.shader, kernel.defines);
        let reflection = known.get_or_insert_default().entry(name).or_insert_with(|| {
            let source = shaders::source(kernel.shader, &kernel.defines);
            let module = naga::front::wgsl::parse_str(&source).expect("a shader that the device compiled");
            let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
            validator
                .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
                .subgroup_operations(naga::valid::SubgroupOperationSet::all());
            let info = validator.validate(&module).expect("a shader that the device compiled");
            Arc::new(Self { module, info })
        });
        Arc::clone(reflection)
    }

    /// Name, offset and size of each member, and the size of all.
    fn uniform_block(&self) -> (Vec<(String, usize, usize)>, usize) {
        let uniform = self.module.global_variables.iter().find(|(_, global)| global.space == AddressSpace::Uniform);
        let (_, uniform) = uniform.expect("a uniform block");
        let TypeInner::Struct { members, span } = &self.module.types[uniform.ty].inner else {
            panic!("a uniform block is a struct");
        };
        let size = |ty| self.module.types[ty].inner.size(self.module.to_ctx()) as usize;
        let member = |member: &naga::StructMember| {
            (member.name.clone().unwrap_or_default(), member.offset as usize, size(member.ty))
        };
        (members.iter().map(member).collect(), *span as usize)
    }

    /// What the shader does with each operand, which come after the uniform block.
    fn accesses(&self, count: usize) -> Vec<Access> {
        (1..=count as u32).map(|binding| self.global(binding).map_or(Access::None, |at| self.access(at))).collect()
    }

    fn global(&self, binding: u32) -> Option<Handle<GlobalVariable>> {
        let stands_there =
            |global: &GlobalVariable| global.binding.as_ref().is_some_and(|place| place.binding == binding);
        self.module.global_variables.iter().find(|(_, global)| stands_there(global)).map(|(handle, _)| handle)
    }

    fn access(&self, global: Handle<GlobalVariable>) -> Access {
        let entry_points = self.module.entry_points.iter().enumerate();
        let compute = entry_points.filter(|(_, point)| point.stage == ShaderStage::Compute);
        let flags = compute.map(|(index, _)| self.info.get_entry_point(index)[global]);
        let flags = flags.fold(GlobalUse::empty(), |all, flags| all | flags);
        match (flags.contains(GlobalUse::READ), flags.contains(GlobalUse::WRITE)) {
            (true, true) => Access::Update,
            (true, false) => Access::Read,
            (false, true) => Access::Write,
            (false, false) => Access::None,
        }
    }
}

#[test]
#[should_panic(expected = "is not the shader's")]
fn a_short_block_is_found() {
    check_layout(&Kernel::new("max_score"), &[], 0);
}

#[test]
#[should_panic(expected = "stated as Read, the shader does Write")]
fn a_wrong_access_is_found() {
    let shader = Reflection::of(&Kernel::new("max_score")).accesses(2);
    assert_accesses("max_score", &shader, &[Access::Read, Access::Read]);
}
