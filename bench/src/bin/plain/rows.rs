//! The tables.

pub(crate) mod users {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub version: i64,
        pub created_at: TimeDateTimeWithTimeZone,
        pub updated_at: TimeDateTimeWithTimeZone,
        pub deleted_at: Option<TimeDateTimeWithTimeZone>,
        pub email: String,
        pub email_normalized: String,
        pub email_verified_at: Option<TimeDateTimeWithTimeZone>,
        pub username: Option<String>,
        pub phone: Option<String>,
        pub name: String,
        pub name_normalized: String,
        pub status: String,
        pub is_admin: bool,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod passwords {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "passwords")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: String,
        pub hash: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod sessions {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sessions")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub user_id: String,
        pub generation: i64,
        pub rotated_at: TimeDateTimeWithTimeZone,
        pub created_at: TimeDateTimeWithTimeZone,
        pub expires_at: TimeDateTimeWithTimeZone,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod notes {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bench_notes")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub version: i64,
        pub created_at: TimeDateTimeWithTimeZone,
        pub updated_at: TimeDateTimeWithTimeZone,
        pub title: String,
        pub body: String,
        pub author_id: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod outbox {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox_events")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub name: String,
        pub version: i32,
        pub aggregate_type: String,
        pub aggregate_id: String,
        pub aggregate_version: Option<i64>,
        pub occurred_at: TimeDateTimeWithTimeZone,
        pub principal: Option<String>,
        pub traceparent: Option<String>,
        pub payload: Json,
        pub available_at: TimeDateTimeWithTimeZone,
        /// Set, although nobody has received the event: else the product would deliver it while another server is measured.
        pub delivered_at: Option<TimeDateTimeWithTimeZone>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

// domain: upload
pub(crate) mod uploads {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "uploads")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub version: i64,
        pub created_at: TimeDateTimeWithTimeZone,
        pub updated_at: TimeDateTimeWithTimeZone,
        pub deleted_at: Option<TimeDateTimeWithTimeZone>,
        pub owner_id: String,
        pub object_key: String,
        pub filename: String,
        pub content_type: String,
        pub charset: Option<String>,
        pub size: i64,
        pub checksum_sha256: Option<String>,
        pub visibility: String,
        pub status: String,
        pub width: Option<i32>,
        pub height: Option<i32>,
        pub expires_at: TimeDateTimeWithTimeZone,
        pub completed_at: Option<TimeDateTimeWithTimeZone>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
// end: upload
