//! Who imports whom: the arrows between the library's rooms must be those that ARCHITECTURE.md draws, and nowhere may
//! modules import one another in a circle.

use crate::run::project_root;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use syn::visit::Visit;

/// Where the crates' sources begin.
const CRATES: [&str; 6] = ["src", "cli/src", "web/src", "wheel/src", "xtask/src", "examples/live/src"];
/// The picture's line before the first arrow, in ARCHITECTURE.md.
const PICTURE: &str = "```arrows";

/// Arrows from one name to others.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Checks the library's rooms against the picture, and all crates for circles.
pub(crate) fn check() -> Result<()> {
    let root = project_root();
    let architecture = fs::read_to_string(root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    for folder in CRATES {
        let modules = Modules::read(&root.join(folder))?;
        if folder == "src" {
            ensure_drawn(&modules, &architecture)?;
        }
        ensure_no_circles(&modules).context(folder)?;
    }
    Ok(())
}

fn ensure_drawn(modules: &Modules, architecture: &str) -> Result<()> {
    let wrong = differences(&modules.arrows_in(&[]), &drawn(architecture)?);
    ensure!(wrong.is_empty(), "ARCHITECTURE.md and src/ disagree:\n{}", wrong.join("\n"));
    Ok(())
}

fn ensure_no_circles(modules: &Modules) -> Result<()> {
    match modules.parents().iter().find_map(|parent| circle(&modules.arrows_in(parent))) {
        Some(circle) => bail!("modules import one another in a circle: {}", circle.join(" -> ")),
        None => Ok(()),
    }
}

/// The arrows of the picture: lines `room -> room room`.
fn drawn(architecture: &str) -> Result<Arrows> {
    let lines = architecture.lines().skip_while(|line| *line != PICTURE).skip(1).take_while(|line| *line != "```");
    let arrows: Arrows = lines
        .filter_map(|line| line.split_once("->"))
        .map(|(from, to)| (from.trim().to_owned(), to.split_whitespace().map(str::to_owned).collect()))
        .collect();
    ensure!(!arrows.is_empty(), "ARCHITECTURE.md has no picture that begins with {PICTURE}");
    Ok(arrows)
}

/// What one has and the other has not.
fn differences(found: &Arrows, drawn: &Arrows) -> Vec<String> {
    let pairs = |arrows: &Arrows| -> BTreeSet<(String, String)> {
        arrows.iter().flat_map(|(from, to)| to.iter().map(|to| (from.clone(), to.clone()))).collect()
    };
    let (found, drawn) = (pairs(found), pairs(drawn));
    let undrawn = found.difference(&drawn).map(|(from, to)| format!("  {from} -> {to} is imported and not drawn"));
    let absent = drawn.difference(&found).map(|(from, to)| format!("  {from} -> {to} is drawn and not imported"));
    undrawn.chain(absent).collect()
}

/// The names along a circle of arrows, the first again at the end.
fn circle(arrows: &Arrows) -> Option<Vec<String>> {
    fn follow<'a>(arrows: &'a Arrows, path: &mut Vec<&'a str>, done: &mut BTreeSet<&'a str>) -> bool {
        let here = path[path.len() - 1];
        for next in arrows.get(here).into_iter().flatten() {
            if let Some(first) = path.iter().position(|name| name == next) {
                path.drain(..first);
                path.push(next);
                return true;
            }
            if !done.contains(next.as_str()) {
                path.push(next);
                if follow(arrows, path, done) {
                    return true;
                }
            }
        }
        done.insert(path.pop().unwrap_or_default());
        false
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|start| {
        let mut path = vec![start.as_str()];
        follow(arrows, &mut path, &mut done).then(|| path.into_iter().map(str::to_owned).collect())
    })
}

/// The modules of a crate by their paths, the crate's root being the empty one.
struct Modules(BTreeMap<Vec<String>, Module>);

#[derive(Default)]
struct Module {
    /// Paths that it uses outside of tests, as segments from the crate's root on.
    uses: BTreeSet<Vec<String>>,
    /// What its names stand for where they are another module's: `pub use child::Name`.
    exports: BTreeMap<String, Vec<String>>,
}

impl Modules {
    fn read(source: &Path) -> Result<Self> {
        let root = ["lib.rs", "main.rs"].map(|name| source.join(name)).into_iter().find(|path| path.exists());
        let mut modules = BTreeMap::new();
        read_module(&root.context("a crate has lib.rs or main.rs")?, source, Vec::new(), &mut modules)?;
        Ok(Self(modules))
    }

    /// Every module that has modules inside it.
    fn parents(&self) -> BTreeSet<Vec<String>> {
        self.0.keys().filter_map(|path| path.split_last()).map(|(_, parent)| parent.to_vec()).collect()
    }

    /// Who imports whom among the modules inside one, with all that is inside them.
    fn arrows_in(&self, parent: &[String]) -> Arrows {
        let mut arrows = Arrows::new();
        for (path, module) in self.0.iter().filter(|(path, _)| path.starts_with(parent) && path.len() > parent.len()) {
            let from = &path[parent.len()];
            for target in module.uses.iter().map(|used| self.resolve(used)) {
                let inside = target.starts_with(parent) && target.len() > parent.len();
                if inside && target[parent.len()] != *from {
                    arrows.entry(from.clone()).or_default().insert(target[parent.len()].clone());
                }
            }
        }
        arrows
    }

    /// The module that a used path leads into, through what modules export of others.
    fn resolve(&self, used: &[String]) -> Vec<String> {
        let mut path = used.to_vec();
        // Exports may lead to exports; a longer way than there are modules would be a circle of them.
        for _ in 0..self.0.len() {
            let depth = (0..=path.len()).rev().find(|&depth| self.0.contains_key(&path[..depth])).unwrap_or(0);
            match path.get(depth).and_then(|name| self.0.get(&path[..depth])?.exports.get(name)) {
                Some(origin) => path = [origin.as_slice(), &path[depth + 1..]].concat(),
                None => return path[..depth].to_vec(),
            }
        }
        path
    }
}

/// Reads a module's file, and those of the modules it declares. `folder` holds the latter.
fn read_module(
    file: &Path,
    folder: &Path,
    path: Vec<String>,
    modules: &mut BTreeMap<Vec<String>, Module>,
) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let parsed = syn::parse_file(&text).with_context(|| file.display().to_string())?;
    let mut reader = Reader { path: path.clone(), module: Module::default(), children: Vec::new() };
    reader.visit_file(&parsed);
    for child in reader.children {
        let inside = folder.join(&child);
        let files = [folder.join(format!("{child}.rs")), inside.join("mod.rs")];
        // A module that another platform compiles may have a file of another name.
        if let Some(file) = files.iter().find(|file| file.exists()) {
            read_module(file, &inside, [path.as_slice(), &[child]].concat(), modules)?;
        }
    }
    modules.insert(path, reader.module);
    Ok(())
}

struct Reader {
    path: Vec<String>,
    module: Module,
    children: Vec<String>,
}

impl Reader {
    /// A path from the crate's root on; none where it leads into another crate or stays in this module.
    fn absolute(&self, segments: &[String]) -> Option<Vec<String>> {
        let supers = segments.iter().take_while(|segment| *segment == "super").count();
        match segments.first()?.as_str() {
            "crate" => Some(segments[1..].to_vec()),
            "super" => Some([&self.path[..self.path.len().checked_sub(supers)?], &segments[supers..]].concat()),
            "self" => Some([self.path.as_slice(), &segments[1..]].concat()),
            child if self.children.iter().any(|name| name == child) => Some([self.path.as_slice(), segments].concat()),
            _ => None,
        }
    }

    fn add_tree(&mut self, tree: &syn::UseTree, before: Vec<String>, exported: bool) {
        match tree {
            syn::UseTree::Path(part) => {
                self.add_tree(&part.tree, [before, vec![part.ident.to_string()]].concat(), exported);
            }
            syn::UseTree::Name(name) => self.add_use(before, &name.ident, &name.ident, exported),
            syn::UseTree::Rename(name) => self.add_use(before, &name.ident, &name.rename, exported),
            syn::UseTree::Glob(_) => self.module.uses.extend(self.absolute(&before)),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add_tree(tree, before.clone(), exported));
            }
        }
    }

    fn add_use(&mut self, before: Vec<String>, name: &syn::Ident, known_as: &syn::Ident, exported: bool) {
        let last = (name != "self").then(|| name.to_string());
        if let Some(path) = self.absolute(&before.into_iter().chain(last).collect::<Vec<_>>()) {
            if exported {
                self.module.exports.insert(known_as.to_string(), path.clone());
            }
            self.module.uses.insert(path);
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        syn::Meta::NameValue(_) => false,
    })
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_file(&mut self, file: &'ast syn::File) {
        // Children first: paths may begin with their names.
        for item in &file.items {
            if let syn::Item::Mod(module) = item
                && module.content.is_none()
                && !is_test(&module.attrs)
            {
                self.children.push(module.ident.to_string());
            }
        }
        syn::visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            _ => return syn::visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let exported = !matches!(item.vis, syn::Visibility::Inherited);
        self.add_tree(&item.tree, Vec::new(), exported);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.module.uses.extend(self.absolute(&segments));
        }
        syn::visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The modules of a crate of these files.
    fn modules(files: &[(&str, &str)]) -> Modules {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("arrows-{}-{number}", std::process::id()));
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
            fs::write(path, text).expect("a writable folder");
        }
        let modules = Modules::read(&folder).expect("sound files");
        fs::remove_dir_all(folder).expect("a writable folder");
        modules
    }

    const PICTURE: &str = "text\n```arrows\nengine -> gpu ops\nops    -> gpu\n```\n";

    #[test]
    fn an_undrawn_arrow_is_found() {
        let honest = [
            ("lib.rs", "mod engine; mod gpu; mod ops; pub use gpu::Gpu;"),
            ("engine.rs", "use crate::{Gpu, ops::{self}};"),
            ("ops.rs", "fn f() { crate::gpu::g(); } #[cfg(test)] mod tests { use crate::engine::E; }"),
            ("gpu.rs", "pub struct Gpu;"),
        ];
        ensure_drawn(&modules(&honest), PICTURE).expect("as drawn");
        ensure_no_circles(&modules(&honest)).expect("none");
        let mut against = honest.to_vec();
        against[3].1 = "use super::ops::x; pub struct Gpu;";
        let undrawn = ensure_drawn(&modules(&against), PICTURE).expect_err("an arrow too many").to_string();
        assert!(undrawn.ends_with("disagree:\n  gpu -> ops is imported and not drawn"), "{undrawn}");
        let circle = ensure_no_circles(&modules(&against)).expect_err("two that import one another").to_string();
        assert!(circle.ends_with("gpu -> ops -> gpu"), "{circle}");
        against[1].1 = "use crate::Gpu;";
        let absent = ensure_drawn(&modules(&against), PICTURE).expect_err("an arrow too few").to_string();
        assert!(absent.contains("  engine -> ops is drawn and not imported"), "{absent}");
    }

    #[test]
    fn circles_between_siblings_are_found_through_exports() {
        let files = [
            ("lib.rs", "mod room;"),
            ("room/mod.rs", "mod a; mod b; pub use b::{inner::B as C};"),
            ("room/a.rs", "use super::C;"),
            ("room/b.rs", "pub mod inner;"),
            ("room/b/inner.rs", "use crate::room::a::A; pub struct B;"),
        ];
        let modules = modules(&files);
        let room = ["room".to_owned()];
        assert!(modules.parents().contains(room.as_slice()));
        assert_eq!(circle(&modules.arrows_in(&room)).expect("a and b"), ["a", "b", "a"]);
        assert_eq!(circle(&modules.arrows_in(&[])), None);
    }
}
