//! The modules of a crate: which file holds which, which of them only tests see, what they re-export.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, ItemMod, UseTree, Visibility};

use crate::finding::Finding;
use crate::source::{Source, is_test};

/// The names on the way from the crate's root, or of any path.
pub(crate) type Names = Vec<String>;

/// A chain of re-exports longer than this is not followed further; it also ends a re-export of itself.
const REEXPORT_HOPS_MAX: u8 = 8;

/// The modules below one root (`lib.rs`, `main.rs` or a file in `bin`); a file is its index in the sources.
#[derive(Default)]
pub(crate) struct Tree {
    modules: BTreeMap<Names, usize>,
    /// The files that are not for tests only.
    product: BTreeSet<usize>,
    /// The re-exported name with its module in front, to the module and the path as written there.
    reexports: BTreeMap<Names, (Names, Names)>,
}

/// Where a walk stands: a module, its file, and the folder of its child modules.
struct Place {
    file: usize,
    module: Names,
    folder: String,
    test: bool,
}

impl Tree {
    /// Whether the file is a module that is not for tests only.
    pub(crate) fn holds_product(&self, file: usize) -> bool {
        self.product.contains(&file)
    }

    /// The files that are not for tests only, each with its module.
    pub(crate) fn product_files(&self) -> impl Iterator<Item = (usize, &Names)> {
        let mut seen = BTreeSet::new();
        let files = self.modules.iter().map(|(names, file)| (*file, names));
        files.filter(move |(file, _)| self.product.contains(file) && seen.insert(*file))
    }

    /// The file that holds a module.
    pub(crate) fn file(&self, module: &[String]) -> Option<usize> {
        self.modules.get(module).copied()
    }

    /// The deepest module that `path` names where it stands in module `here`, through re-exports; `None` when it
    /// leads out of the crate.
    pub(crate) fn resolve(&self, here: &[String], path: &[String]) -> Option<Names> {
        self.follow(here, path, REEXPORT_HOPS_MAX)
    }

    fn follow(&self, here: &[String], path: &[String], hops: u8) -> Option<Names> {
        let (mut at, rest) = self.start(here, path)?;
        for name in rest {
            let next = [&at[..], std::slice::from_ref(name)].concat();
            if self.modules.contains_key(&next) {
                at = next;
                continue;
            }
            let reexport = self.reexports.get(&next).filter(|_| hops > 0);
            match reexport.and_then(|(module, path)| self.follow(module, path, hops - 1)) {
                Some(target) => at = target,
                None => break,
            }
        }
        Some(at)
    }

    /// The module at which the first names of `path` start, and the names that remain.
    fn start<'a>(&self, here: &[String], path: &'a [String]) -> Option<(Names, &'a [String])> {
        let first = path.first()?;
        let (mut at, mut rest) = match first.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (here.to_vec(), &path[1..]),
            "super" => (here.to_vec(), path),
            _ => {
                let child = [here, std::slice::from_ref(first)].concat();
                return self.modules.contains_key(&child).then(|| (here.to_vec(), path));
            }
        };
        while rest.first().is_some_and(|name| name == "super") {
            at.pop()?;
            rest = &rest[1..];
        }
        Some((at, rest))
    }

    fn add_file(&mut self, sources: &[Source], place: Place) {
        let source = &sources[place.file];
        let test = place.test || is_test(&source.ast.attrs);
        if !test {
            self.product.insert(place.file);
        }
        self.add_items(sources, &source.ast.items, &Place { test, ..place });
    }

    fn add_items(&mut self, sources: &[Source], items: &[Item], place: &Place) {
        self.modules.insert(place.module.clone(), place.file);
        for item in items {
            match item {
                Item::Mod(declared) => self.add_module(sources, declared, place),
                Item::Use(import) if !matches!(import.vis, Visibility::Inherited) => {
                    for (path, name) in imports(&import.tree) {
                        let name = [&place.module[..], &[name]].concat();
                        self.reexports.insert(name, (place.module.clone(), path));
                    }
                }
                _ => {}
            }
        }
    }

    fn add_module(&mut self, sources: &[Source], declared: &ItemMod, place: &Place) {
        let name = declared.ident.to_string();
        let folder = format!("{}/{name}", place.folder);
        let module = [&place.module[..], &[name]].concat();
        let test = place.test || is_test(&declared.attrs);
        if let Some((_, items)) = &declared.content {
            return self.add_items(sources, items, &Place { file: place.file, module, folder, test });
        }
        if let Some(file) = module_file(sources, &folder) {
            self.add_file(sources, Place { file, module, folder, test });
        }
    }
}

/// The trees of all roots among `sources`, which are sorted by path.
pub(crate) fn trees(sources: &[Source]) -> Vec<Tree> {
    let mut trees = Vec::new();
    for (file, source) in sources.iter().enumerate() {
        if is_root(&source.path) {
            let mut tree = Tree::default();
            let folder = parent(&source.path).to_owned();
            tree.add_file(sources, Place { file, module: Vec::new(), folder, test: false });
            trees.push(tree);
        }
    }
    trees
}

/// A finding for each file in a `src` folder that no module declares: the compiler never reads it.
pub(crate) fn check_reached(sources: &[Source], trees: &[Tree]) -> Vec<Finding> {
    let reached: BTreeSet<usize> = trees.iter().flat_map(|tree| tree.modules.values()).copied().collect();
    let lost = |(file, source): &(usize, &Source)| in_src(&source.path).is_some() && !reached.contains(file);
    let found = sources.iter().enumerate().filter(lost);
    found.map(|(_, source)| Finding::new(&source.path, 1, "no `mod` declares this file")).collect()
}

/// Each leaf of a `use`: the path as written and the name it gets; a glob's name is `*`.
pub(crate) fn imports(tree: &UseTree) -> Vec<(Names, String)> {
    fn walk(tree: &UseTree, mut path: Names, leaves: &mut Vec<(Names, String)>) {
        let mut leaf = |path: Names, name: String| leaves.push((path, name));
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                walk(&step.tree, path, leaves);
            }
            UseTree::Name(name) if name.ident == "self" => {
                let name = path.last().cloned().unwrap_or_default();
                leaf(path, name);
            }
            UseTree::Name(name) => {
                leaf([&path[..], &[name.ident.to_string()]].concat(), name.ident.to_string())
            }
            UseTree::Rename(renamed) => {
                leaf([&path[..], &[renamed.ident.to_string()]].concat(), renamed.rename.to_string());
            }
            UseTree::Glob(_) => leaf(path, "*".to_owned()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| walk(tree, path.clone(), leaves)),
        }
    }
    let mut leaves = Vec::new();
    walk(tree, Vec::new(), &mut leaves);
    leaves
}

/// The file of the module whose child modules are in `folder`.
pub(crate) fn module_file(sources: &[Source], folder: &str) -> Option<usize> {
    find(sources, &format!("{folder}.rs")).or_else(|| find(sources, &format!("{folder}/mod.rs")))
}

/// The folder of the child modules of the file at `path`.
pub(crate) fn child_folder(path: &str) -> &str {
    if is_root(path) || path.ends_with("/mod.rs") { parent(path) } else { path.trim_end_matches(".rs") }
}

fn find(sources: &[Source], path: &str) -> Option<usize> {
    sources.binary_search_by(|source| source.path.as_str().cmp(path)).ok()
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The rest of a path behind the folder of a crate: a part of the product, or an example.
pub(crate) fn in_crate(path: &str) -> Option<&str> {
    let inside = ["crates/", "examples/"].iter().find_map(|folder| path.strip_prefix(folder))?;
    inside.split_once('/').map(|(_, rest)| rest)
}

/// The rest of a path behind the crate's `src` folder.
fn in_src(path: &str) -> Option<&str> {
    in_crate(path)?.strip_prefix("src/")
}

fn is_root(path: &str) -> bool {
    let Some(inside) = in_src(path) else { return false };
    match inside.strip_prefix("bin/") {
        Some(program) => !program.contains('/') || program.ends_with("/main.rs"),
        None => matches!(inside, "lib.rs" | "main.rs"),
    }
}
