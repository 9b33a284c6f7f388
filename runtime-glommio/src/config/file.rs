//! Files: an `rtpengine.conf` (key files of GLib: sections, `key = value`, `#`), or TOML with a table `[relay]`.

use std::path::Path;

use super::options::{Takes, find};
use super::{Given, Problem};

/// Keys of `[relay]` in a `trunkline.toml` that are for the SIP side: how calls are given to relays.
const SIP_SIDE: [&str; 9] =
    ["mode", "ng", "control_timeout", "tries", "retry_after", "on_failure", "inside_networks", "inside", "outside"];

/// Whether a file is TOML, by its name.
pub(super) fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// Reads a file; one that ends in `.toml` is TOML.
pub(super) fn read(path: &Path, section: &str) -> Result<Vec<Given>, Vec<Problem>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| vec![Problem(format!("{name}: {error}"))])?;
    if is_toml(path) { toml(&text, &name).map_err(|problem| vec![problem]) } else { key_file(&text, &name, section) }
}

/// Reads the keys of one section. Keys may be repeated: each adds its values.
pub(super) fn key_file(text: &str, name: &str, section: &str) -> Result<Vec<Given>, Vec<Problem>> {
    let (mut given, mut problems) = (Vec::new(), Vec::new());
    let (mut inside, mut found) = (false, false);
    for (line, number) in text.lines().zip(1..) {
        let (line, at) = (line.trim(), format!("{name}:{number}"));
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = title == section;
            found |= inside;
        } else if !inside {
            // Sections with other names belong to other instances.
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim(), value.trim());
            given.push(Given { name: key.to_owned(), values: split(key, value), at });
        } else {
            problems.push(Problem(format!("{at}: neither `key = value` nor `[section]`")));
        }
    }
    if !found {
        problems.push(Problem(format!("{name}: there is no section [{section}] (--config-section)")));
    }
    if problems.is_empty() { Ok(given) } else { Err(problems) }
}

/// Lists are separated by `;`, also at their end.
fn split(key: &str, value: &str) -> Vec<String> {
    if !matches!(find(key).map(|option| option.takes), Some(Takes::Many(_))) {
        return vec![value.to_owned()];
    }
    value.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Reads the table `[relay]`: the same names, with underscores for hyphens. It may be that of a whole platform.
pub(super) fn toml(text: &str, name: &str) -> Result<Vec<Given>, Problem> {
    let file: toml::Table = text.parse().map_err(|error| Problem(format!("{name}: {error}")))?;
    let Some(relay) = file.get("relay") else { return Err(Problem(format!("{name}: there is no table [relay]"))) };
    let Some(relay) = relay.as_table() else { return Err(Problem(format!("{name}: `relay` is no table"))) };
    relay
        .iter()
        .filter(|(key, _)| !SIP_SIDE.contains(&key.as_str()))
        .map(|(key, value)| {
            let values = match value {
                toml::Value::Array(values) => values.iter().map(scalar).collect::<Option<Vec<_>>>(),
                value => scalar(value).map(|value| vec![value]),
            };
            let at = format!("{name}: [relay]");
            match values {
                Some(values) => Ok(Given { name: key.clone(), values, at }),
                None => Err(Problem(format!("{at}: `{key}` is no text, number or list of those"))),
            }
        })
        .collect()
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
}
