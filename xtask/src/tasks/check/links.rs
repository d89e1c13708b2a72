//! Documents that exist: relative links in Markdown, and `docs/…md` named in Rust.

use std::path::{Component, Path, PathBuf};

use super::{Findings, Source, has_ending};

pub(super) fn check(sources: &[Source], exists: impl Fn(&Path) -> bool, findings: &mut Findings) {
    for Source { path, text } in sources {
        let targets = if has_ending(path, "rs") {
            mentions(text).map(PathBuf::from).collect::<Vec<_>>()
        } else if has_ending(path, "md") {
            let dir = Path::new(path).parent().unwrap_or(Path::new(""));
            links(text).filter_map(|link| resolve(dir, link)).collect()
        } else {
            continue;
        };
        for target in targets {
            if !exists(&target) {
                findings.fail(format!(
                    "{path} points to {}, which is not there",
                    target.display()
                ));
            }
        }
    }
}

/// Targets of `[text](target)` outside of code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    let lines = text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    });
    lines.flat_map(|line| {
        let parts = line.split("](").skip(1);
        parts
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target)
    })
}

/// Where a link leads from `dir`; `None` when it leaves the project or stays on the page.
fn resolve(dir: &Path, link: &str) -> Option<PathBuf> {
    let target = link.split(['#', ' ']).next().unwrap_or_default();
    if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let mut path = PathBuf::new();
    for part in dir.join(target).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

/// Documents that comments name.
fn mentions(text: &str) -> impl Iterator<Item = &str> {
    let comments = text
        .lines()
        .filter(|line| line.trim_start().starts_with("//"));
    let names = comments
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c))));
    names.filter(|name| name.starts_with("docs/") && has_ending(name, "md"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Findings, Source, check};

    #[test]
    fn broken_links_are_found_and_others_left_alone() {
        let source = |path: &str, text: &str| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let text = "[a](../b.md#part) [c](c.md) [web](https://example.org/x) [here](#part)\n\
                    ```\n[code](none.md)\n```\n[end](d.md \"title\")";
        let mentioned = concat!(
            "//! See `docs",
            "/b.md` and docs",
            "/formats/x.md, not mydocs"
        );
        let sources = [source("docs/en/a.md", text), source("a.rs", mentioned)];
        let mut findings = Findings::default();
        check(
            &sources,
            |path| path == Path::new("docs/b.md"),
            &mut findings,
        );
        let expected = [
            "docs/en/a.md points to docs/en/c.md, which is not there",
            "docs/en/a.md points to docs/en/d.md, which is not there",
            "a.rs points to docs/formats/x.md, which is not there",
        ];
        assert_eq!(findings.failures, expected);
    }
}
