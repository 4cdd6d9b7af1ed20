//! A Dockerfile, built by another program and taken over.

use std::collections::BTreeMap;
use std::path::Path;

use schleuse_client::Client;
use schleuse_config::{env, settings};
use schleuse_image::copy::{Route, copy};
use schleuse_image::dockerfile::{self, Imported, Recipe, Setting, Tool};
use schleuse_image::layers::source_labels;
use schleuse_image::manifest::{LayerRecord, Schema};
use schleuse_image::{BuildManifest, CopyError};
use schleuse_model::{Repository, Tag, Timestamp};

use super::recipe::platform;
use super::{Pushing, SourceState};
use crate::context::Context;
use crate::failure::Failure;
use crate::project::Project;

/// What `docker` and `buildah` need to know of their surroundings: where the daemon is, where storage and logins are, the way out
/// to the network. Nothing else is handed on: a Dockerfile's steps run foreign code, and what it does not get it cannot leak.
const HANDED_ON: &[&str] = &[
    "BUILDAH_ISOLATION",
    "BUILDKIT_HOST",
    "BUILDX_BUILDER",
    "BUILDX_CONFIG",
    "CONTAINERS_CONF",
    "CONTAINERS_REGISTRIES_CONF",
    "CONTAINERS_STORAGE_CONF",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "REGISTRY_AUTH_FILE",
    "SSL_CERT_FILE",
    "STORAGE_DRIVER",
    "STORAGE_OPTS",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "https_proxy",
    "http_proxy",
    "no_proxy",
];

/// Who builds, as the build manifest says it.
pub(crate) fn name(build: &settings::Build) -> &'static str {
    build.dockerfile.as_ref().map_or("layers", |dockerfile| tool(dockerfile.builder).name())
}

const fn tool(builder: settings::Builder) -> Tool {
    match builder {
        settings::Builder::Buildx => Tool::Buildx,
        settings::Builder::Buildah => Tool::Buildah,
    }
}

/// Builds, and pushes the image under `tag`.
pub(crate) async fn build(
    project: &Project,
    dockerfile: &settings::Dockerfile,
    source: &SourceState,
    (image, tag): (&Repository, Tag),
    client: &Client,
    context: &Context,
) -> Result<BuildManifest, Failure> {
    let recipe = recipe(project, dockerfile, source);
    let work = context.work_folder()?;
    let progress = context.progress(&format!("building with {}", recipe.tool.name()));
    let built = dockerfile::run(&recipe, &setting(dockerfile, context), work.path()).await?;
    built.said.iter().for_each(|line| context.printer.detail(line));
    let pushing = Pushing::new(&progress, &context.printer);
    push(&built, client, image, &tag, work.path(), &pushing).await?;
    drop(progress);
    let by = recipe.tool.name();
    context.printer.note(&format!("built {} with {by} and pushed it as {image}:{tag}", source.commit.short()));
    Ok(record(&built, &recipe, source, image, tag)?)
}

fn recipe(project: &Project, dockerfile: &settings::Dockerfile, source: &SourceState) -> Recipe {
    let configured = project.config.build.as_ref().and_then(|build| build.platform.as_ref());
    let created = Timestamp::from_seconds(source.created.as_seconds());
    Recipe {
        tool: tool(dockerfile.builder),
        context: project.root.join(&dockerfile.context),
        file: project.root.join(&dockerfile.file),
        target: dockerfile.target.clone(),
        args: dockerfile.args.clone(),
        labels: source_labels(&source.info(), created),
        platform: platform(configured),
        created,
    }
}

fn setting(dockerfile: &settings::Dockerfile, context: &Context) -> Setting {
    let variables = &context.variables;
    let handed = HANDED_ON.iter().filter_map(|name| Some(((*name).to_owned(), variables.get(name)?.to_owned())));
    Setting {
        search_path: context.environment.get(&env::PATH).unwrap_or("/usr/local/bin:/usr/bin:/bin").to_owned(),
        environment: handed.collect::<BTreeMap<_, _>>(),
        deadline: dockerfile.timeout,
    }
}

async fn push(
    built: &Imported,
    client: &Client,
    image: &Repository,
    tag: &Tag,
    work: &Path,
    progress: &Pushing<'_>,
) -> Result<(), CopyError> {
    let route = Route {
        from: &built.archive,
        from_repository: built.image.repository(),
        to: client,
        to_repository: image,
        work,
        progress,
    };
    copy(route, built.image.digest(), std::slice::from_ref(tag)).await.map(drop)
}

fn record(
    built: &Imported,
    recipe: &Recipe,
    source: &SourceState,
    image: &Repository,
    tag: Tag,
) -> Result<BuildManifest, CopyError> {
    let malformed = |source| CopyError::Malformed { digest: built.manifest.digest().clone(), source };
    let layers = built.manifest.as_image().map_err(malformed)?.layers;
    Ok(BuildManifest {
        schema: Schema::V1,
        image: image.clone(),
        digest: built.manifest.digest().clone(),
        tag: Some(tag),
        commit: source.commit.clone(),
        version: source.version.clone(),
        source: source.repository.clone(),
        workflow: source.workflow.clone(),
        platform: built.config.platform(),
        // A Dockerfile may have several, and only its builder has seen which.
        base: None,
        layers: layers.into_iter().map(|layer| LayerRecord { digest: layer.digest, size: layer.size }).collect(),
        created: recipe.created,
        builder: recipe.tool.name().to_owned(),
    })
}
