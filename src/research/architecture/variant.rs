//! Variants: a name, a sentence and the keys that are different. Their files look like those of GPUs, but that values may
//! be relative to the machine's.

use super::change::{self, Change};
use crate::config::raw::{Layer, RawEntry, RawValue};
use crate::config::{Layers, check, registry};
use crate::error::{Error, Result, input};
use std::path::Path;

/// What a file should look like.
const REMEDY: &str =
    "write keys as in a GPU's file: [l1] and ways = \"x2\" (docs/architecture-research.md)";

/// A variant of any machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its name: that of its file.
    pub name: String,
    /// What is different, in a sentence.
    pub text: String,
    /// Keys and what becomes of them.
    pub changes: Vec<(String, Change)>,
    /// The same as written, for people.
    pub written: Vec<(String, String)>,
}

/// The built-in variants; literal values are read as those of the machine of `layers`.
///
/// # Errors
/// A value that it does not allow.
pub fn built_in(layers: &Layers) -> Result<Vec<Variant>> {
    let read = |(name, text): &(&str, &str)| {
        Variant::read(name, &format!("configs/variants/{name}.toml"), text, layers)
    };
    registry::VARIANTS.iter().map(read).collect()
}

/// The variants that `words` name, built-in or files, each once; all built-in ones without words.
///
/// # Errors
/// A name that there is not (exit status 2); a file that cannot be read or is none of a variant (1).
pub fn chosen(words: &[String], layers: &Layers) -> Result<Vec<Variant>> {
    if words.is_empty() {
        return built_in(layers);
    }
    let mut all: Vec<(&str, Variant)> = Vec::new();
    for word in words.iter().map(|word| word.trim()) {
        if all.iter().any(|(known, _)| *known == word) {
            continue;
        }
        let variant = one(word, layers)?;
        if let Some((other, _)) = all.iter().find(|(_, known)| known.name == variant.name) {
            return Err(Error::Usage(format!(
                "--variants: {other} and {word} are both called {}; rename a file",
                variant.name
            )));
        }
        all.push((word, variant));
    }
    Ok(all.into_iter().map(|(_, variant)| variant).collect())
}

fn one(word: &str, layers: &Layers) -> Result<Variant> {
    let names = || registry::VARIANTS.iter().map(|(name, _)| *name);
    if word.ends_with(".toml") {
        let text = input::text(Path::new(word), input::WRITTEN_MAX, "a variant (TOML)")?;
        let stem = Path::new(word).file_stem();
        let name = stem.map_or(word.into(), |stem| stem.to_string_lossy());
        return Variant::read(&name, word, &text, layers);
    }
    match registry::VARIANTS.iter().find(|(name, _)| *name == word) {
        Some((name, text)) => {
            Variant::read(name, &format!("configs/variants/{name}.toml"), text, layers)
        }
        None => {
            let near = check::nearest(word, names());
            let near = near.map_or(String::new(), |near| format!("did you mean {near}? "));
            let all: Vec<&str> = names().collect();
            Err(Error::Usage(format!(
                "--variants {word}: there is no such variant; {near}there are {}; or name a FILE.toml",
                all.join(", ")
            )))
        }
    }
}

impl Variant {
    /// The variant `name` of the text of `file`.
    ///
    /// # Errors
    /// What is wrong with it, by line.
    pub fn read(name: &str, file: &str, text: &str, layers: &Layers) -> Result<Self> {
        let layer = Layer::parse(file, text)?;
        let fault = |place: String, what: String| Error::input(file, place, what, REMEDY);
        if let Some(base) = &layer.base {
            let what = format!("base = {base:?}: a variant is one of any machine");
            return Err(fault("base".into(), what));
        }
        let mut variant = Variant {
            name: name.to_owned(),
            text: String::new(),
            changes: Vec::new(),
            written: Vec::new(),
        };
        for (key, entry) in layer.entries() {
            let line = entry.place.rsplit(':').next().unwrap_or("1");
            let what = variant.take(&key, entry, layers);
            what.map_err(|what| fault(format!("line {line}"), what))?;
        }
        if variant.changes.is_empty() {
            let what = "no key is different in it".to_owned();
            return Err(fault("whole file".into(), what));
        }
        Ok(variant)
    }

    /// Takes the entry of `key`.
    fn take(
        &mut self,
        key: &str,
        entry: &RawEntry,
        layers: &Layers,
    ) -> std::result::Result<(), String> {
        let value = &entry.value;
        if key == "text" {
            let RawValue::Text(text) = value else {
                return Err(format!("text = {value}: a sentence was expected"));
            };
            self.text.clone_from(text);
            return Ok(());
        }
        let kind = check::kind(key)?;
        let change = change::read(key, kind, value).map_err(|what| format!("{key} = {what}"))?;
        if let Change::Is(literal) = &change {
            layers.value(key, literal)?;
        }
        let shown = match value {
            RawValue::Text(text) => text.clone(),
            other => other.to_string(),
        };
        self.written.push((key.to_owned(), shown));
        self.changes.push((key.to_owned(), change));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Layers {
        Layers::of("v100").unwrap()
    }

    #[test]
    fn a_file_is_read_to_changes() {
        let text = "text = \"More.\"\nl2.bytes = \"+50%\"\n[l1]\nways = \"x2\"\nmshrs = 12\n";
        let variant = Variant::read("mine", "mine.toml", text, &layers()).unwrap();
        assert_eq!(
            (variant.name.as_str(), variant.text.as_str()),
            ("mine", "More.")
        );
        let mut changes = variant.changes;
        changes.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            ("l1.mshrs", Change::Is("12".into())),
            ("l1.ways", Change::Times(2, 1)),
            ("l2.bytes", Change::Times(150, 100)),
        ];
        assert_eq!(
            changes,
            expected.map(|(key, change)| (key.to_owned(), change))
        );
    }

    #[test]
    fn what_is_wrong_with_a_file_names_line_and_remedy() {
        for (text, place, what) in [
            ("a = = 1\n", "line 1", "not TOML"),
            (
                "text = \"t\"\n[l1]\nwayz = 4\n",
                "line 3",
                "did you mean l1.ways?",
            ),
            ("l1.ways = \"x\"\n", "line 1", "no relative value"),
            ("\nl1.ways = \"4 MiB\"\n", "line 2", "allowed: 1 to 4096"),
            ("l1.ways = 9999999\n", "line 1", "allowed: 1 to 4096"),
            ("l1.enabled = \"x2\"\n", "line 1", "allowed: true or false"),
            ("l1.ways = 1.5\n", "line 1", "l1.ways"),
            ("text = 4\n", "line 1", "a sentence was expected"),
            ("base = \"v100\"\n", "base", "of any machine"),
            ("text = \"nothing\"\n", "whole file", "no key is different"),
        ] {
            let error = Variant::read("v", "dir/v.toml", text, &layers()).unwrap_err();
            assert_eq!(error.exit_status(), 1, "{error}");
            let error = error.to_string();
            assert!(
                error.starts_with(&format!("dir/v.toml: {place}: ")),
                "{error}"
            );
            assert!(error.contains(what), "{what}: {error}");
        }
    }

    #[test]
    fn names_are_found_once_and_a_wrong_one_lists_them() {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let twice = chosen(&words(&["larger-l1", "larger-l1"]), &layers()).unwrap();
        assert_eq!(twice.len(), 1);
        let error = chosen(&words(&["larger-l2l"]), &layers()).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        let error = error.to_string();
        assert!(error.contains("did you mean larger-l") && error.contains("adaptive-partitioning"));
        let error = chosen(&words(&["no/such.toml"]), &layers()).unwrap_err();
        assert_eq!(error.exit_status(), 1);
        assert!(error.to_string().contains("no/such.toml"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("larger-l1.toml");
        std::fs::write(&path, "l1.ways = \"x2\"\n").unwrap();
        let error = chosen(&words(&["larger-l1", path.to_str().unwrap()]), &layers()).unwrap_err();
        assert!(
            error.to_string().contains("both called larger-l1"),
            "{error}"
        );
    }

    #[test]
    fn all_built_in_variants_are_in_the_folder_and_say_what_they_are() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/variants");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let mut names: Vec<String> = Vec::new();
        for variant in built_in(&layers()).unwrap() {
            assert!(
                variant.text.len() > 20 && variant.text.ends_with('.'),
                "{}",
                variant.name
            );
            names.push(variant.name);
        }
        assert_eq!(names, files, "the list is in the order of the names");
    }
}
