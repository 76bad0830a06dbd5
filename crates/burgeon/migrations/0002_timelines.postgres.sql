-- Where each timeline of the database began, written down by whoever first sees a promoted primary. A replica that can
-- read a row has replayed part of that timeline.
create table burgeon_timeline (
    timeline bigint primary key,
    began bigint not null,
    seen_at timestamptz not null default clock_timestamp()
);
