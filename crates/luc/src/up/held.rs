//! What the directory of a development cloud holds already, so that `luc up` founds no other cloud
//! over it and waits for no site that it was not told of.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::cloud::Site;

/// The sites that are in a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// The only site of a cloud of one.
    one: Option<String>,
    /// The sites of a cloud of several, each in a directory of its own.
    several: Vec<String>,
}

impl Held {
    /// Looks into `directory`; one that is not there holds nothing.
    pub(crate) fn read(directory: &Path) -> anyhow::Result<Self> {
        if !directory.is_dir() {
            return Ok(Self::default());
        }
        let one = Site::is_founded(directory).then(|| Site::read(directory));
        let one = one.transpose()?.map(|site| site.name);
        let reading = || format!("reading {}", directory.display());
        let mut several = Vec::new();
        for entry in std::fs::read_dir(directory).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            if Site::is_founded(&entry.path()) {
                several.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        several.sort();
        Ok(Self { one, several })
    }

    /// Refuses a cloud of the one site `site` where something else is.
    pub(crate) fn fits_one(&self, directory: &Path, site: &str) -> anyhow::Result<()> {
        let directory = directory.display();
        match &self.one {
            Some(name) if name != site => {
                bail!("{directory} holds the site {name}: use --site {name}, or another --data-dir")
            }
            None if !self.several.is_empty() => {
                let names = self.several.join(",");
                bail!("{directory} holds several sites: use --sites {names}, or another --data-dir")
            }
            _ => Ok(()),
        }
    }

    /// Refuses a cloud of `sites` where something else is: a single site, or sites that are not
    /// named, which the others would wait for. Further ones may join those that are there.
    pub(crate) fn fits_several(&self, directory: &Path, sites: &[String]) -> anyhow::Result<()> {
        let directory = directory.display();
        if let Some(name) = &self.one {
            bail!(
                "{directory} holds the single site {name}: use --site {name}, or another --data-dir"
            );
        }
        let names = self.several.join(",");
        if self.several.iter().any(|held| !sites.contains(held)) {
            bail!(
                "{directory} holds the sites {names}: name them all, as in --sites {names}, or use \
                 another --data-dir"
            );
        }
        let first = sites.first();
        if !self.several.is_empty() && first.is_none_or(|first| !self.several.contains(first)) {
            bail!(
                "{directory} holds the sites {names}: name one of these first, for what is named \
                 first founds a cloud if it is not there"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(directory: &Path, name: &str) {
        std::fs::create_dir_all(directory).unwrap();
        let (site, _) = crate::cloud::found_key(directory, name).unwrap();
        site.write(directory).unwrap();
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn what_is_there_is_named_and_not_founded_over() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let nothing = Held::read(&directory.join("none")).unwrap();
        nothing.fits_one(directory, "a").unwrap();
        nothing
            .fits_several(directory, &names(&["a", "b"]))
            .unwrap();

        found(&directory.join("a"), "a");
        found(&directory.join("b"), "b");
        std::fs::create_dir(directory.join("hosts")).unwrap();
        let several = Held::read(directory).unwrap();
        let error = several.fits_one(directory, "site-1").unwrap_err();
        assert!(error.to_string().contains("--sites a,b"), "{error}");
        for sites in [&["a", "c"][..], &["c", "d"], &["c", "a", "b"]] {
            let error = several.fits_several(directory, &names(sites)).unwrap_err();
            assert!(error.to_string().contains("a,b"), "{sites:?}: {error}");
        }
        for sites in [&["a", "b"][..], &["b", "a"], &["a", "b", "c"]] {
            several.fits_several(directory, &names(sites)).unwrap();
        }
    }

    #[test]
    fn a_single_site_goes_on_under_its_own_name_alone() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        found(directory, "lab");
        let one = Held::read(directory).unwrap();
        one.fits_one(directory, "lab").unwrap();
        let error = one.fits_one(directory, "site-1").unwrap_err();
        assert!(error.to_string().contains("--site lab"), "{error}");
        let error = one.fits_several(directory, &names(&["lab", "b"]));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("single site lab"), "{error}");
    }
}
