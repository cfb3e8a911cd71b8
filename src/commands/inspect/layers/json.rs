//! `inspect layers` as JSON.

use serde_json::{Value as Json, json};

use super::{Asked, PATH, View, change_path, is_merged};
use crate::container::layers::{Compared, Place, Role};
use crate::image::stack::{Change, Kind};
use crate::kernel::process::path_text;

impl View<'_> {
    pub(super) fn json(&self) -> Json {
        let layers = self.layers;
        let mount = &layers.mount;
        let role = |role: Role| layers.places.iter().find(move |place| place.role == role);
        let directory = |place: &Place| path_text(place.found.as_ref().unwrap_or(&place.given));
        let place = |(number, place): (Option<usize>, &Place)| {
            json!({
                "layer": number,
                "role": place.role.name(),
                "given": path_text(&place.given),
                "directory": place.found.as_deref().ok().map(path_text),
                "error": place.found.as_ref().err().map(ToString::to_string),
            })
        };
        let change = |change: &Change| json!({ "change": change.kind.letter(), "path": path_text(&change_path(change)) });
        let (compared, changes) = match &self.changes {
            Ok(Some((compared, changes))) => {
                (Some(*compared), Some(changes.iter().map(change).collect::<Vec<_>>()))
            }
            _ => (None, None),
        };
        json!({
            "pid": self.pid,
            "overlay": layers.overlay.is_some(),
            "fuse": layers.overlay.as_ref().is_some_and(|overlay| overlay.fuse),
            "mount": {
                "type": mount.fs_type, "device": mount.device, "source": mount.source,
                "root": path_text(&mount.root), "options": mount.options,
            },
            "upper": role(Role::Upper).map(directory),
            "work": role(Role::Work).map(directory),
            "merged": format!("/proc/{}/root", self.pid),
            "layers": self.numbered().map(place).collect::<Vec<_>>(),
            "changes": changes,
            "compared": compared.map(|compared| match compared {
                Compared::Upper => "upper",
                Compared::Merged => "merged",
            }),
            "changes_error": self.changes.as_ref().err().map(ToString::to_string),
            "path": self.path.as_ref().map(|asked| self.path_json(asked)),
        })
    }

    fn path_json(&self, asked: &Asked<'_>) -> Json {
        let seen = asked.steps.iter().find(|(_, traced)| traced.seen);
        let from = match asked.changed {
            Some(Kind::Deleted) => None,
            Some(Kind::Added) => Some(0),
            Some(Kind::Changed) if !seen.is_some_and(|step| is_merged(&[step])) => Some(0),
            _ => seen.map(|(place, _)| self.number(place)),
        };
        json!({
            "given": path_text(&asked.given),
            "resolved": path_text(&asked.resolved),
            "from": from,
            "mounted_over": asked.covered,
            "layers": PATH.json(&self.steps(asked)),
        })
    }
}
