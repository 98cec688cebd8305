//! The house rules that a compiler does not check: which crate may see which, what every file must have and must not have.
//!
//! All findings are listed, not only the first. The rules themselves are in [`arrows`] and [`sources`].

mod arrows;
mod named_tests;
mod sources;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut findings = arrows::check(&workspace.members());
    let files = workspace.files()?;
    let mut texts = Vec::new();
    for path in &files {
        let bytes =
            std::fs::read(workspace.root.join(path)).with_context(|| format!("cannot read {}", path.display()))?;
        // Archives and pictures are not text; everything else must be.
        if let Ok(text) = String::from_utf8(bytes) {
            texts.push((path.to_string_lossy().into_owned(), text));
        }
    }
    findings.extend(sources::check(&texts));
    findings.extend(named_tests::check(&texts));
    if findings.is_empty() {
        println!("{} files and the arrows between the crates are tidy", texts.len());
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    bail!("{} findings", findings.len());
}
