//! What the configuration may say.

pub(super) const HELP: &str = r#"The configuration, with paths relative to it. What has to be there:

  certificate = "server.pem"        PEM: the server's own first, then its issuers
  private_key = "server.key"        PEM
  [listen]
  https = "127.0.0.1:443"           also MQTT and AMQP over WebSockets; port 0 takes a free one
  [store]                           where records are kept, which is one of
  path = "dps.redb"                 a file, for one process at a time; made if it is not there
  postgres = "postgres://dps@db.example.net/dps"
                                    a database, for any number of processes; over TLS, with a
                                    certificate for its host. In the URL may stand
                                    ?sslrootcert=ca.pem, or ?sslmode=disable
  memory = true                     nowhere: all is gone when the process ends
  [[instance]]                      one or more
  id_scope = "0ne00000001"          what devices name it by
  service_host = "one.example.net"  what operators name it by
  [[instance.hub]]                  one or more for each instance
  name = "west.example.net"

What may be left out, with its default; the first at the top, the others where they are named:

  mqtts = "127.0.0.1:8883"          [listen]: MQTT; not spoken there unless said
  amqps = "127.0.0.1:5671"          [listen]: AMQP; not spoken there unless said
  operators = "127.0.0.1:8443"      [listen]: HTTPS for operators, who are then served nowhere else;
                                    on the port of HTTPS unless said, where all their clients look
  cache_mib = 256                   [store], path: memory for pages of the file
  backups = "backups"               [store], path: a folder, made if it is not there, into which SIGUSR1
                                    makes a backup while the file is used; none unless said
  password_file = "db.password"     [store], postgres: its text is the password, which then need not be
                                    in the URL; nor need it with the variable PGPASSWORD
  connections = 8                   [store], postgres: how many this process has open; half for commits
  pooler = false                    [store], postgres: true behind a pooler of transactions
  migrate = true                    [store], postgres: false makes no tables, and brings none up to date
  [seal]                            values are sealed with AES-256-GCM before they are stored, in whatever
                                    store; not sealed unless it is there
  keys = "keys.txt"                 readable by its owner alone; a line for each key, such as
                                    "key 2026-11 <32 bytes in base64>", and one that says which seals,
                                    "current 2026-11"; openssl rand -base64 32 makes the bytes
  grace_ms = 250                    how long an answer waits to say "assigned" at once; 0: never
  failed_attempts = 60              how many attempts of an address may fail a minute before others
                                    from there are not looked at; devices' and operators' apart
  permit = []                       which addresses or ranges that are not public operators may name, of
                                    hubs and OpenID providers, such as "10.20.0.0/16"
  allocation_policy = "hashed"      [[instance]]: or geoLatency, static, custom
  enrollments = []                  [[instance]]: JSON files in the shape of the service API, each
                                    with one entry or an array; the file name may contain *
  enrollment_groups = []            [[instance]]: the same for groups
  location = ""                     [[instance.hub]]: for people
  weight = 1                        [[instance.hub]]: its share, relative to the others
  in_policy = true                  [[instance.hub]]: false takes it out of allocation
  disable_local_auth = false        [[instance]]: true takes no tokens of shared access policies
  [[instance.certificate]]          CA certificates: where chains of groups end
  name = "root"                     what caReferences name
  file = "root.pem"
  [[instance.policy]]               shared access policies; without any, no operator is let in
  name = "owner"                    what tokens say as skn
  rights = "EnrollmentWrite"        one or more of ServiceConfig, EnrollmentRead, EnrollmentWrite,
                                    RegistrationStatusRead, RegistrationStatusWrite, DeviceConnect
  primary_key = "<base64>"          16 to 64 bytes; tokens are signed with it
  secondary_key = "<base64>"        the same; made and known to nobody unless said
  [openid]                          takes tokens (JWT) of OpenID providers; none unless it is there
  roots = "roots.pem"               PEM: the CAs that providers' servers are trusted by
  [[instance.issuer]]               OpenID providers whose tokens operators may show
  issuer = "https://login.example"  what tokens say as iss, to the letter; keys are found by it
  audience = "https://azure-devices-provisioning.net"
  role_claim = "roles"
  [[instance.issuer.role]]          without any: Device Provisioning Service Data Contributor, and Reader
  role = "line managers"            a value of the claim
  actions = ["enrollments/*"]       data actions, also by one star; and configure, by its name only

An instance that is not in the store is made as the configuration says, with its entries. One that is there
stays as operators left it, entries and all; --overwrite writes the configuration over it. What that cannot
say stays even so: IP rules, private endpoints, quotas; and entries that the configuration does not name."#;
