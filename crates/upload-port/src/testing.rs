//! (feature `testing`) Uploads without an object store, for tests of domains that refer to uploads.

#![expect(clippy::panic, clippy::missing_panics_doc, reason = "a test that cannot have its row fails")]

use sea_orm::ConnectionTrait as _;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};
use shared_kernel::principal::Principal;
use shared_kernel::testing::TestDatabase;

use crate::{Files, FilesError, StoredFile, UploadId};

/// Inserts the row of a completed upload of the user, without an object.
pub async fn upload_of(database: &TestDatabase, owner: &Principal) -> UploadId {
    let now = database.clock().now();
    let upload_id = UploadId::new(now);
    let mut insert = Query::insert();
    insert.into_table("uploads").columns([
        "id",
        "created_at",
        "updated_at",
        "owner_id",
        "object_key",
        "filename",
        "content_type",
        "size",
        "visibility",
        "status",
        "expires_at",
        "completed_at",
    ]);
    insert.values_panic([
        upload_id.into(),
        now.into(),
        now.into(),
        owner.user().into(),
        format!("uploads/{upload_id}").into(),
        "harbour.png".into(),
        "image/png".into(),
        48_213_i64.into(),
        "private".into(),
        "completed".into(),
        now.into(),
        now.into(),
    ]);
    let inserted = database.primary().execute(&insert).await;
    inserted.unwrap_or_else(|error| panic!("insert an upload: {error}"));
    upload_id
}

/// The real table `uploads` without an object store: the URL of a file is `https://files.test/<id of the upload>`.
#[derive(Clone, Copy, Debug)]
pub struct FakeFiles;

impl Files for FakeFiles {
    fn select(&self, ids: &[UploadId]) -> SelectStatement {
        Query::select()
            .columns(StoredFile::COLUMNS)
            .from("uploads")
            .and_where(Expr::col("id").is_in(ids.iter().copied()))
            .and_where(Expr::col("deleted_at").is_null())
            .and_where(Expr::col("status").eq("completed"))
            .to_owned()
    }

    fn url(&self, file: &StoredFile) -> Result<String, FilesError> {
        Ok(format!("https://files.test/{}", file.id))
    }
}
