//! An image for everybody that was made at a site other than the founder.

use luc::client::Target;
use reqwest::Method;
use serde_json::json;

use super::{active_at, create, image, login, start, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_for_everybody_is_of_use_without_the_site_that_made_it_and_at_that_site_alone() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b", "c"]).await;
    let (b, c) = (login(&cloud, "b").await, login(&cloud, "c").await);
    let image = image(&b).await;
    let path = format!("/images/{image}");
    until("the image at c", async || {
        c.get(Target::Image, &path).await.ok()
    })
    .await;
    assert_eq!(create(&c, "before", &image, Some("c")).await.status, 202);
    active_at(&c, "before", "c").await;
    assert_eq!(create(&b, "at home", &image, Some("b")).await.status, 202);
    active_at(&b, "at home", "b").await;

    cloud.split("b").expect("it is cut");
    for site in ["b", "c"] {
        let cut = cloud.site(site).expect("a site");
        until("it is noticed", async || {
            (!cloud.sees_all(cut)).then_some(())
        })
        .await;
    }
    // What a server of this site was made of is here.
    let c = login(&cloud, "c").await;
    assert_eq!(create(&c, "after", &image, Some("c")).await.status, 202);
    active_at(&c, "after", "c").await;
    let b = login(&cloud, "b").await;
    assert_eq!(create(&b, "alone", &image, Some("b")).await.status, 202);
    active_at(&b, "alone", "b").await;
    // Its home makes another one for everybody, and nobody else changes this one.
    let body = json!({"name": "new", "disk_format": "raw", "container_format": "bare",
        "visibility": "public"});
    b.post(Target::Image, "/images", body)
        .await
        .expect("an image");
    let gone = c.ask(Method::DELETE, Target::Image, &path, None).await;
    let gone = gone.expect("an answer");
    assert_eq!(gone.status, 503, "{}", gone.body);
    cloud.heal();
    until("the new image at c", async || {
        let list = c.get(Target::Image, "/images?name=new").await.ok()?;
        list["images"]
            .as_array()
            .filter(|found| found.len() == 1)
            .map(drop)
    })
    .await;
    cloud.stop().await.expect("everything stops");
}
