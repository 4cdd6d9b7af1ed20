//! Listing tags (distribution-spec 1.1, "Listing Tags").

use http::{StatusCode, header};
use schleuse_model::json;
use serde::Serialize;

use crate::answer::{self, Answer};
use crate::problem::Problem;
use crate::registry::Registry;
use crate::route::{Name, Query, percent_encode};

#[derive(Serialize)]
struct List<'a> {
    name: &'a str,
    tags: &'a [String],
}

pub(crate) async fn list(registry: &Registry, name: Name, query: &Query) -> Result<Answer, Problem> {
    let asked = match query.get("n") {
        None => registry.limits.page,
        Some(text) => text.parse().map_err(|_| Problem::size("the parameter `n` is not a number"))?,
    };
    let repository = name.clone();
    let names = registry.blocking(move |shared| Ok(shared.store.tag_names(&repository)?)).await?;
    let names = names.ok_or_else(Problem::name_unknown)?;
    let from = query.get("last").map_or(0, |last| names.partition_point(|name| name.as_str() <= last));
    let rest = &names[from..];
    let page = &rest[..asked.min(registry.limits.page).min(rest.len())];
    let body = json::to_bytes(&List { name: name.as_str(), tags: page });
    let mut answer = answer::whole(StatusCode::OK, "application/json", body.into());
    if let Some(last) = page.last()
        && page.len() < rest.len()
    {
        let link = format!("</v2/{name}/tags/list?n={}&last={}>; rel=\"next\"", page.len(), percent_encode(last));
        answer::set(&mut answer, header::LINK, &link);
    }
    Ok(answer)
}
