//! Reads what dockerd keeps on disk of one container: `<root>/containers/<id>/config.v2.json`. dockerd writes it
//! before the cgroup exists, replaces it at each change of state, and removes it with the container.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Deserializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    DockerRoot, Metadata, Runtime, RuntimeError,
    path::is_container_id,
    state_file::{Links, read_json},
};

/// A real one has 3 to 30 kB; labels and environment make it longer.
const MAX_BYTES: u64 = 4 << 20;
const COMPOSE_PROJECT: &str = "com.docker.compose.project";
const COMPOSE_SERVICE: &str = "com.docker.compose.service";

/// What `config.v2.json` says of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerContainer {
    /// 64 hex digits.
    pub id: String,
    /// Without the `/` that docker puts before it.
    pub name: String,
    /// As in `docker run IMAGE`.
    pub image: String,
    /// `sha256:` and the digest of the image's configuration.
    pub image_id: String,
    /// All of them, raw.
    pub labels: BTreeMap<String, String>,
    /// When it was created.
    pub created: Option<SystemTime>,
    /// When it was last started, while it runs. dockerd writes it some ms after the first exec; until then the file
    /// still has the run before.
    pub started: Option<SystemTime>,
    /// Its init in the daemon's pid namespace, while it runs; written together with `started`.
    pub pid: Option<u32>,
}

/// Asks each root in turn; a root with a broken file speaks only if no other knows the container.
pub(super) fn confirm(
    roots: &[DockerRoot],
    id: &str,
    labels: &[String],
) -> Result<Option<Metadata>, RuntimeError> {
    let mut problem = None;
    for root in roots {
        match read(&root.path, id) {
            Ok(Some(container)) => {
                let path = config_path(&root.path, id);
                let owner =
                    fs::symlink_metadata(&path).map_err(|source| RuntimeError::Read { path, source })?;
                return Ok(Some(container.into_metadata(labels, owner.uid())));
            }
            Ok(None) => {}
            Err(error) => problem = problem.or(Some(error)),
        }
    }
    problem.map_or(Ok(None), Err)
}

/// Reads container `id` below a data root; `None` if this root has no such container.
///
/// # Errors
/// `id` is not one of docker's, or the file is not what dockerd writes.
pub fn read(root: &Path, id: &str) -> Result<Option<DockerContainer>, RuntimeError> {
    if !is_container_id(id) {
        return Err(RuntimeError::NotAnId(id.to_owned()));
    }
    let path = config_path(root, id);
    match read_json::<ConfigV2>(&path, Links::Refuse, MAX_BYTES)? {
        Some(config) if config.id == id => Ok(Some(config.into())),
        Some(config) => Err(RuntimeError::OtherId { path, found: config.id }),
        None => Ok(None),
    }
}

fn config_path(root: &Path, id: &str) -> PathBuf {
    root.join("containers").join(id).join("config.v2.json")
}

impl DockerContainer {
    fn into_metadata(self, wanted: &[String], owner: u32) -> Metadata {
        let project = self.labels.get(COMPOSE_PROJECT).cloned();
        let service = self.labels.get(COMPOSE_SERVICE).cloned();
        let is_wanted = |(key, _): &(&String, &String)| wanted.contains(key);
        let labels = self.labels.iter().filter(is_wanted);
        let labels = labels.map(|(key, value)| (key.clone(), value.clone())).collect();
        Metadata {
            runtime: Runtime::Docker,
            owner,
            name: self.name,
            // A container never has no image: an empty one marks cgroups that are no container.
            image: if self.image.is_empty() { self.image_id } else { self.image },
            labels,
            every_label: self.labels,
            project,
            service,
            created: self.created,
            started: self.started,
        }
    }
}

/// The fields of `config.v2.json` that are used, as dockerd spells them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigV2 {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    #[serde(rename = "Image")]
    image_id: String,
    #[serde(default, deserialize_with = "instant")]
    created: Option<SystemTime>,
    config: RunConfig,
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig {
    image: String,
    /// `null` where there is none.
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    pid: u32,
    #[serde(default, deserialize_with = "instant")]
    started_at: Option<SystemTime>,
}

impl From<ConfigV2> for DockerContainer {
    fn from(file: ConfigV2) -> Self {
        let ConfigV2 { id, name, image_id, created, config, state } = file;
        let pid = Some(state.pid).filter(|pid| *pid != 0);
        Self {
            id,
            name: name.strip_prefix('/').map(str::to_owned).unwrap_or(name),
            image: config.image,
            image_id,
            labels: config.labels.unwrap_or_default(),
            created,
            started: state.started_at.filter(|_| pid.is_some()),
            pid,
        }
    }
}

/// A time as Go writes it. Its zero value, year 1, means never; a time that makes no sense costs only itself.
fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = OffsetDateTime::parse(&text, &Rfc3339).ok().map(SystemTime::from);
    Ok(time.filter(|time| *time >= SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests;
