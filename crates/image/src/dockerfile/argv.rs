//! From a recipe to arguments. Pure.

use std::ffi::OsString;
use std::path::Path;

use super::Recipe;

type Command = (&'static str, Vec<OsString>);

/// `docker buildx build`, into an OCI archive.
pub(super) fn buildx(recipe: &Recipe, archive: &Path) -> Command {
    let mut output = OsString::from("dest=");
    output.push(archive);
    let mut arguments = words(&["buildx", "build", "--progress=plain", "--provenance=false", "--sbom=false"]);
    arguments.push("--output".into());
    arguments.push(fields(&["type=oci".into(), output, "rewrite-timestamp=true".into()]));
    arguments.extend(pair("--build-arg", format!("SOURCE_DATE_EPOCH={}", recipe.created.as_seconds())));
    arguments.extend(common(recipe));
    ("docker", arguments)
}

/// `buildah build`, under a passing name in its own storage.
pub(super) fn buildah(recipe: &Recipe, name: &str) -> Command {
    let mut arguments = words(&["build", "--format=oci", "--timestamp"]);
    arguments.push(recipe.created.as_seconds().to_string().into());
    arguments.extend(pair("--tag", name.to_owned()));
    arguments.extend(common(recipe));
    ("buildah", arguments)
}

/// Writes the image into a file.
pub(super) fn buildah_push(name: &str, archive: &Path) -> Command {
    let mut to = OsString::from("oci-archive:");
    to.push(archive);
    ("buildah", vec!["push".into(), "--quiet".into(), name.into(), to])
}

/// Takes the passing name away, and with it the image, unless the person has it under another.
pub(super) fn buildah_forget(name: &str) -> Command {
    ("buildah", words(&["rmi", name]))
}

/// A name for as long as the build takes. The work folder's own name is random.
pub(super) fn passing_name(work: &Path) -> String {
    let folder = work.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let tag: String = folder.chars().filter(|c| c.is_ascii_alphanumeric()).take(100).collect();
    format!("localhost/schleuse-build:{}-{tag}", std::process::id())
}

/// What both programs understand, the context last.
fn common(recipe: &Recipe) -> Vec<OsString> {
    let mut arguments = vec!["--file".into(), recipe.file.clone().into()];
    arguments.extend(pair("--platform", recipe.platform.to_string()));
    if let Some(target) = &recipe.target {
        arguments.extend(pair("--target", target.clone()));
    }
    for (name, value) in &recipe.args {
        arguments.extend(pair("--build-arg", format!("{name}={value}")));
    }
    for (name, value) in &recipe.labels {
        arguments.extend(pair("--label", format!("{name}={value}")));
    }
    // What follows is the context, whatever it is called.
    arguments.push("--".into());
    arguments.push(recipe.context.clone().into());
    arguments
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn pair(flag: &str, value: String) -> [OsString; 2] {
    [flag.into(), value.into()]
}

/// One line of comma-separated values, which is how buildx takes an output (RFC 4180 quoting, by the field).
fn fields(fields: &[OsString]) -> OsString {
    let mut line = OsString::new();
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            line.push(",");
        }
        match field.to_str() {
            Some(text) if text.contains([',', '"', '\n']) => line.push(format!("\"{}\"", text.replace('"', "\"\""))),
            _ => line.push(field),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schleuse_model::Timestamp;
    use schleuse_oci::Platform;

    use super::*;
    use crate::dockerfile::Tool;

    fn recipe() -> Recipe {
        Recipe {
            tool: Tool::Buildx,
            context: "/src/--privileged".into(),
            file: "/src/Dockerfile".into(),
            target: Some("release".to_owned()),
            args: BTreeMap::from([("NODE_ENV".to_owned(), "production; rm -rf /".to_owned())]),
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            platform: Platform { os: "linux".to_owned(), architecture: "arm64".to_owned(), variant: None },
            created: Timestamp::from_seconds(1_700_000_000),
        }
    }

    fn line((program, arguments): Command) -> String {
        let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        format!("{program}|{}", words.join("|"))
    }

    #[test]
    fn arguments() {
        assert_eq!(
            line(buildx(&recipe(), Path::new("/w/image.tar"))),
            "docker|buildx|build|--progress=plain|--provenance=false|--sbom=false|--output|\
             type=oci,dest=/w/image.tar,rewrite-timestamp=true|--build-arg|SOURCE_DATE_EPOCH=1700000000|--file|\
             /src/Dockerfile|--platform|linux/arm64|--target|release|--build-arg|NODE_ENV=production; rm -rf /|--label|a=b|--|\
             /src/--privileged"
        );
        assert_eq!(
            line(buildah(&recipe(), "localhost/x:1")),
            "buildah|build|--format=oci|--timestamp|1700000000|--tag|localhost/x:1|--file|/src/Dockerfile|--platform|linux/arm64|\
             --target|release|--build-arg|NODE_ENV=production; rm -rf /|--label|a=b|--|/src/--privileged"
        );
        assert_eq!(line(buildah_push("x", Path::new("/w/i.tar"))), "buildah|push|--quiet|x|oci-archive:/w/i.tar");
    }

    #[test]
    fn a_folder_with_a_comma_is_no_second_option() {
        let line = fields(&["type=oci".into(), "dest=/a,type=registry\"".into()]);
        assert_eq!(line, r#"type=oci,"dest=/a,type=registry""""#);
    }
}
