CREATE TABLE dps_meta (name varchar(32) NOT NULL PRIMARY KEY, number bigint NOT NULL);
INSERT INTO dps_meta (name, number) VALUES ('schema', 1), ('record_format', 1), ('version', 1048576);
CREATE TABLE dps_record (
    shard bytea NOT NULL,
    tbl smallint NOT NULL,
    id bytea NOT NULL,
    version bigint NOT NULL,
    expected bigint NOT NULL,
    scope bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (shard, tbl, id)
);
CREATE INDEX dps_record_scan ON dps_record (scope, tbl, id);
INSERT INTO dps_record (shard, tbl, id, version, expected, scope, value) VALUES
    ('0ne000a11ce/1', 4, 'press-1', 9001, 0, '0ne000a11ce', '{"id":"press-1"}'),
    ('0ne000a11ce/2', 4, 'press-2', 9002, -1, '0ne000a11ce', '{"id":"press-2"}'),
    ('0ne000a11ce/0', 0, 'epoch', 7, 0, '0ne000a11ce', '');
