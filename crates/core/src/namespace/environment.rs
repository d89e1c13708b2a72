//! The shell variables of the design: where scripts find the repositories.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Namespace, Tree, View};
use crate::layout::Profile;
use crate::reference::{Host, Media, Where};

/// A shell variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name: letters, digits and `_`.
    pub name: String,
    /// Its value; `None` when there is no such thing now, so that an old value must go.
    pub value: Option<String>,
}

impl Namespace {
    /// The variables, in the order of the contract.
    ///
    /// Under `opengnsys`, `"$REPO$REPOMAN"/sub/img` and `"$CACHE$REPOMAN"/sub/img` name images, and so do the
    /// others: values end in a slash. Under `eac` it is `$REPO/sub/img` and `$CACHE$REPO/sub/img`.
    pub fn environment(&self) -> Vec<Variable> {
        self.environment_where(&|_| true)
    }

    /// As [`Namespace::environment`], where only some of the views are there: what would lead through another has no
    /// value.
    pub fn environment_where(&self, stands: &dyn Fn(&View) -> bool) -> Vec<Variable> {
        let trees = self.trees_for_others();
        let mut list = List::default();
        let value_of = |wanted: &dyn Fn(&Where) -> bool| {
            let tree = trees.iter().find(|tree| wanted(&tree.place));
            tree.and_then(|tree| self.value(tree, stands))
        };
        list.add("REPO", value_of(&|place| *place == Where::Manager));
        list.add("CACHE", value_of(&|place| *place == Where::Cache));
        let repoman = match self.layout().profile() {
            Profile::OpenGnsys => text(self.layout().inner()),
            Profile::Eac => String::new(),
        };
        list.add("REPOMAN", Some(repoman));
        list.add("IPSERVIDOR", self.manager_address());
        let others: Vec<String> = trees
            .iter()
            .filter_map(|tree| match &tree.place {
                Where::Host(host) => Some(bare(host)),
                _ => None,
            })
            .collect();
        list.add(
            "IPSERVIDOR_ALT",
            (!others.is_empty()).then(|| others.join(" ")),
        );
        for (name, media) in [("USB", Media::Usb), ("DVD", Media::Dvd)] {
            let is = |place: &Where| matches!(place, Where::Removable(it) if it.media() == media);
            list.add(name, value_of(&is));
        }
        for tree in &trees {
            let name = match &tree.place {
                Where::Host(host) => format!("REPO_{}", bare(host)),
                Where::Removable(medium) => medium.to_string(),
                Where::Manager | Where::Cache => continue,
            };
            list.add(&name, self.value(tree, stands));
        }
        list.variables
    }

    /// What a tree's variable says.
    fn value(&self, tree: &Tree, stands: &dyn Fn(&View) -> bool) -> Option<String> {
        let start = match self.view(tree) {
            Some(view) if !stands(&view) => return None,
            Some(view) => view.dir,
            None if self.layout().profile() == Profile::Eac && tree.place != Where::Cache => {
                tree.path()
            }
            None => tree.mount.clone(),
        };
        Some(match self.layout().profile() {
            Profile::OpenGnsys => text(&start) + "/",
            Profile::Eac => text(&start),
        })
    }

    /// The manager's address: as configured, else on the serving machine the first that others can reach.
    fn manager_address(&self) -> Option<String> {
        let configured = self.facts.manager.iter();
        let address = configured
            .clone()
            .find(|host| matches!(host, Host::Address(_)));
        if let Some(host) = address.or_else(|| configured.clone().next()) {
            return Some(bare(host));
        }
        self.facts.serving.as_ref()?;
        let own = self.facts.addresses.first()?;
        Some(own.to_string())
    }
}

/// A host as tools take it: without brackets.
fn bare(host: &Host) -> String {
    match host {
        Host::Address(address) => address.to_string(),
        Host::Name(name) => name.clone(),
    }
}

/// Paths of layouts are UTF-8.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[derive(Default)]
struct List {
    taken: BTreeSet<String>,
    variables: Vec<Variable>,
}

impl List {
    /// Adds a variable. Signs that cannot stand in a shell's name become `_`, and of two that come to the
    /// same name the second gets a number.
    fn add(&mut self, name: &str, value: Option<String>) {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let stem: String = name.chars().map(plain).collect();
        let mut name = stem.clone();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{stem}_{number}");
            number += 1;
        }
        self.variables.push(Variable { name, value });
    }
}
