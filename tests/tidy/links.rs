//! The pages' links to files of the checkout lead somewhere.

use crate::source::{self, root};

#[test]
fn links_in_pages_lead_to_files() {
    for page in source::files(".md") {
        let folder = root().join(&page.path).parent().expect("a page lies in a folder").to_owned();
        for target in links(&page.text) {
            let path = target.split('#').next().unwrap_or_default();
            let there = path.is_empty() || folder.join(path).exists();
            assert!(there, "{} links to {target}, which is not there", page.path);
        }
    }
}

/// The targets of `[text](target)` that are no address.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|target| !target.contains("://"))
}
