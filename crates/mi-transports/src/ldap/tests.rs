//! The store against OpenLDAP's slapd, each test with a server and a database of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use base64::engine::general_purpose::STANDARD;
use mi_config::{Deployment, NoPlaceholders};
use socket2::{Domain, Socket, Type};

use super::*;
use crate::tls::ClientTlsConfig;

const ENTRIES: &str = "\
dn: dc=x
objectClass: dcObject
objectClass: organization
o: x

dn: ou=Users,dc=x
objectClass: organizationalUnit

dn: ou=Groups,dc=x
objectClass: organizationalUnit

dn: uid=boss,ou=Users,dc=x
objectClass: inetOrgPerson
cn: The Boss
sn: Boss
userPassword: boss-secret

dn: uid=a*b(c),ou=Users,dc=x
objectClass: inetOrgPerson
cn: odd
sn: odd
seeAlso: cn=readers,ou=Groups,dc=x
userPassword: odd-secret

dn: uid=printer,ou=Users,dc=x
objectClass: inetOrgPerson
cn: printer
sn: Service
userPassword: printer-secret

dn: cn=admin,ou=Groups,dc=x
objectClass: groupOfNames
member: uid=boss,ou=Users,dc=x

dn: cn=readers,ou=Groups,dc=x
objectClass: groupOfNames
member: uid=boss,ou=Users,dc=x
member: uid=a*b(c),ou=Users,dc=x

dn: cn=staff,ou=Groups,dc=x
objectClass: posixGroup
gidNumber: 1
memberUid: a*b(c)
memberUid: nobody
";

/// A server; it ends with the value, and its files go.
struct Slapd {
    child: Child,
    folder: PathBuf,
    plain: u16,
    secure: u16,
    /// Keep the ports from everybody else.
    _reserved: [Socket; 2],
}

impl Drop for Slapd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A port with a socket on it that never listens; slapd sets the same option and may listen there.
fn reserve() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn program(name: &str) -> Command {
    let path = Path::new("/usr/sbin").join(name);
    assert!(path.exists(), "{} is not there; apt-get install --no-install-recommends slapd", path.display());
    Command::new(path)
}

impl Slapd {
    fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("mi-slapd-{}-{number}", std::process::id()));
        std::fs::create_dir_all(folder.join("db")).unwrap();
        let at = |name: &str| folder.join(name).display().to_string();
        let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(at("key.pem"), pem("PRIVATE KEY", &signed.signing_key.serialize_der())).unwrap();
        std::fs::write(at("server.pem"), pem("CERTIFICATE", signed.cert.der())).unwrap();
        let config = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\ninclude /etc/ldap/schema/nis.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             pidfile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n\
             database mdb\nmaxsize 10485760\nsuffix dc=x\nrootdn cn=root,dc=x\nrootpw root-secret\ndirectory {}\n",
            at("pid"),
            at("server.pem"),
            at("key.pem"),
            at("db")
        );
        std::fs::write(at("slapd.conf"), config).unwrap();
        std::fs::write(at("entries.ldif"), ENTRIES).unwrap();
        let added =
            program("slapadd").args(["-q", "-f", &at("slapd.conf"), "-l", &at("entries.ldif")]).output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let ((one, plain), (two, secure)) = (reserve(), reserve());
        let log = std::fs::File::create(at("log")).unwrap();
        let child = program("slapd")
            .args(["-d", "0", "-f", &at("slapd.conf")])
            .args(["-h", &format!("ldap://127.0.0.1:{plain} ldaps://127.0.0.1:{secure}")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self { child, folder, plain, secure, _reserved: [one, two] };
        let deadline = Instant::now() + Duration::from_secs(20);
        for port in [plain, secure] {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
                let log = || std::fs::read_to_string(server.folder.join("log"));
                assert!(server.child.try_wait().unwrap().is_none(), "slapd ended: {:?}", log());
                assert!(Instant::now() < deadline, "slapd does not listen: {:?}", log());
                std::thread::yield_now();
            }
        }
        server
    }

    fn url(&self) -> String {
        format!("ldap://localhost:{}", self.plain)
    }

    /// A store as `deployment.toml` says, with further settings.
    fn store(&self, kind: &str, url: &str, more: &str) -> LdapUsers {
        let der = certificate_in(&self.folder.join("server.pem"));
        let tls = ClientTlsConfig { trusted: vec![der.into()], ..ClientTlsConfig::default() };
        LdapUsers::new(config(kind, url, more), Arc::new(ClientTls::new(&tls).unwrap())).expect("a store")
    }
}

fn certificate_in(path: &Path) -> Vec<u8> {
    use base64::Engine;
    let text = std::fs::read_to_string(path).unwrap();
    STANDARD.decode(text.lines().nth(1).unwrap()).unwrap()
}

fn config(kind: &str, url: &str, more: &str) -> LdapStore {
    let text = format!(
        "[internal_apis.file_user_store]\nenable = false\n[super_admin]\nusername = 'boss'\n[user_store]\ntype = '{kind}'\n\
         base_dn = 'dc=x'\nconnection_url = '{url}'\nconnection_name = 'cn=root,dc=x'\nconnection_password = 'root-secret'\n\
         user_entry_object_class = 'inetOrgPerson'\n{more}"
    );
    let (deployment, diagnostics) = Deployment::parse("d.toml", &text, &NoPlaceholders);
    assert!(diagnostics.iter().next().is_none(), "{diagnostics:?}");
    deployment.management.user_store.expect("a store")
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|it| (*it).to_owned()).collect()
}

#[tokio::test]
async fn users_log_in_and_have_roles() {
    let server = Slapd::start();
    let by_pattern = "user_dn_pattern = 'uid={0},ou=Nobody,dc=x#uid={0},ou=Users,dc=x'";
    for more in ["", by_pattern, "user_name_search_filter = '(&amp;(objectClass=inetOrgPerson)(uid=?))'"] {
        let store = server.store("read_only_ldap", &server.url(), more);
        for (user, password, fits) in [
            ("boss", "boss-secret", true),
            (" boss ", "boss-secret", true),
            ("a*b(c)", "odd-secret", true),
            ("boss", "odd-secret", false),
            // A bind without a password succeeds for every name.
            ("boss", "", false),
            ("", "", false),
            ("nobody", "boss-secret", false),
            // Each of these would be somebody if it were taken for a part of the filter or the name.
            ("*", "boss-secret", false),
            ("bos*", "boss-secret", false),
            ("boss)(uid=*", "boss-secret", false),
            ("boss,ou=Users,dc=x", "boss-secret", false),
        ] {
            assert_eq!(store.authenticate(user, password).await, Ok(fits), "{user} {password} {more}");
        }
    }
    let store = server.store("read_only_ldap", &server.url(), "");
    assert_eq!(store.users("*").await.unwrap(), texts(&["a*b(c)", "boss"]), "an account of a service is no user");
    assert_eq!(store.users("b*").await.unwrap(), texts(&["boss"]));
    assert!(matches!(store.users("b?").await, Err(UserStoreError::Refused(_))));
    assert_eq!(store.roles().await.unwrap(), texts(&[EVERYONE, "admin", "readers"]));
    assert_eq!(store.roles_of("boss").await.unwrap(), Some(texts(&[EVERYONE, "admin", "readers"])));
    assert_eq!(store.roles_of("a*b(c)").await.unwrap(), Some(texts(&[EVERYONE, "readers"])));
    assert_eq!(store.roles_of("nobody").await.unwrap(), None);
    assert_eq!(store.users_of("readers").await.unwrap(), Some(texts(&["boss", "a*b(c)"])));
    assert_eq!(store.users_of("nothing").await.unwrap(), None);
    assert_eq!(store.users_of(EVERYONE).await.unwrap().map(|it| it.len()), Some(2));
    let change = store.change(Change::DeleteUser("boss")).await;
    assert!(matches!(change, Err(UserStoreError::Refused(why)) if why.contains("read only")));
    // Roles by an attribute of the user: any attribute with names will do.
    let by_user = server.store(
        "active_directory",
        &server.url(),
        "member_of_attribute = 'seeAlso'\nuser_name_attribute = 'uid'\n\
        user_name_search_filter = '(uid=?)'\nuser_name_list_filter = '(uid=*)'\ngroup_name_list_filter = '(cn=*)'",
    );
    assert_eq!(by_user.roles_of("a*b(c)").await.unwrap(), Some(texts(&[EVERYONE, "readers"])));
    assert!(by_user.authenticate("boss", "boss-secret").await.unwrap());
    // Whoever is named as the administrator is one.
    assert_eq!(by_user.roles_of("boss").await.unwrap(), Some(texts(&[EVERYONE, "admin"])));
    // Members of a posixGroup stand there by their name.
    let posix = "membership_attribute = 'memberUid'\ngroup_name_search_filter = '(&(objectClass=posixGroup)(cn=?))'\n\
                 group_name_list_filter = '(objectClass=posixGroup)'";
    let posix = server.store("read_only_ldap", &server.url(), posix);
    assert_eq!(posix.roles_of("a*b(c)").await.unwrap(), Some(texts(&[EVERYONE, "staff"])));
    assert_eq!(posix.users_of("staff").await.unwrap(), Some(texts(&["a*b(c)"])));
    let few = server.store("read_only_ldap", &server.url(), "max_user_name_list_length = 1\nread_groups = false");
    assert_eq!(few.users("*").await.unwrap().len(), 1);
    assert_eq!(few.roles().await.unwrap(), texts(&[EVERYONE]));
}

#[tokio::test]
async fn users_and_roles_are_changed() {
    let server = Slapd::start();
    for (number, hash) in ["PLAIN_TEXT", "SHA", "MD5"].into_iter().enumerate() {
        let store = server.store("read_write_ldap", &server.url(), &format!("password_hash_method = '{hash}'"));
        let user = format!("new{number}");
        let add = Change::AddUser { user: &user, password: "first-one", admin: false };
        store.change(add.clone()).await.unwrap();
        let again = store.change(add).await.expect_err("it is there").to_string();
        assert!(again.contains("already exists"), "{again}");
        assert!(store.authenticate(&user, "first-one").await.unwrap(), "{hash}");
        store.change(Change::SetPassword { user: &user, password: "second-one" }).await.unwrap();
        assert!(store.authenticate(&user, "second-one").await.unwrap(), "{hash}");
        assert!(!store.authenticate(&user, "first-one").await.unwrap(), "{hash}");
        let roles = texts(&["readers", "admin"]);
        store.change(Change::SetRoles { user: &user, added: &roles, removed: &[] }).await.unwrap();
        let again = Change::SetRoles { user: &user, added: &roles[..1], removed: &[] };
        assert!(store.change(again).await.expect_err("it has it").to_string().contains("already belongs"));
        store.change(Change::SetRoles { user: &user, added: &[], removed: &roles[..1] }).await.unwrap();
        assert_eq!(store.roles_of(&user).await.unwrap(), Some(texts(&[EVERYONE, "admin"])));
        store.change(Change::DeleteUser(&user)).await.unwrap();
        assert!(!store.authenticate(&user, "second-one").await.unwrap());
        assert_eq!(store.users_of("admin").await.unwrap(), Some(texts(&["boss"])), "no member is left behind");
    }
    let store = server.store("read_write_ldap", &server.url(), "group_entry_object_class = 'groupOfNames'");
    for (change, why) in [
        (Change::AddUser { user: "x", password: "long-enough", admin: false }, "31301"),
        (Change::AddUser { user: "long", password: "x", admin: false }, "30003"),
        (Change::AddRole("x y"), "30011"),
        (Change::AddRole("readers"), "already exists"),
        // The class insists on a member.
        (Change::AddRole("empty"), "LDAP result code 65"),
        (Change::DeleteRole("nothing"), "does not exist"),
        (Change::DeleteUser("nobody"), "does not exists"),
        (Change::SetRoles { user: "boss", added: &texts(&["nothing"]), removed: &[] }, "does not exist"),
    ] {
        let error = store.change(change.clone()).await.expect_err("it cannot be").to_string();
        assert!(error.contains(why), "{change:?}: {error}");
    }
    let roles = server.store(
        "read_write_ldap",
        &server.url(),
        "group_entry_object_class = 'organizationalRole'\nmembership_attribute = 'roleOccupant'\n\
         group_name_search_filter = '(cn=?)'\ngroup_name_list_filter = '(objectClass=organizationalRole)'",
    );
    roles.change(Change::AddRole("writers")).await.unwrap();
    let both = texts(&["writers"]);
    roles.change(Change::SetRoles { user: "a*b(c)", added: &both, removed: &[] }).await.unwrap();
    assert_eq!(roles.roles_of("a*b(c)").await.unwrap(), Some(texts(&[EVERYONE, "writers"])));
    roles.change(Change::DeleteRole("writers")).await.unwrap();
    assert_eq!(roles.roles().await.unwrap(), texts(&[EVERYONE]));
}

#[tokio::test]
async fn tls_and_servers_that_do_not_answer() {
    let server = Slapd::start();
    let secure = format!("ldaps://localhost:{}", server.secure);
    let tls = server.store("read_only_ldap", &secure, "");
    assert!(tls.authenticate("boss", "boss-secret").await.unwrap());
    let start_tls = server.store("read_only_ldap", &server.url(), "properties.StartTLSEnabled = true");
    assert!(start_tls.authenticate("boss", "boss-secret").await.unwrap());
    let stranger = Arc::new(ClientTls::new(&ClientTlsConfig::default()).unwrap());
    for (url, more) in [(secure, ""), (server.url(), "properties.StartTLSEnabled = true")] {
        let store = LdapUsers::new(config("read_only_ldap", &url, more), stranger.clone()).unwrap();
        let error = store.authenticate("boss", "boss-secret").await.expect_err("a certificate of a stranger");
        assert!(error.to_string().contains("TLS"), "{error}");
    }
    // The first one does not listen.
    let (_reserved, nobody) = reserve();
    let two = server.store("read_only_ldap", &format!("ldap://localhost:{nobody} {}", server.url()), "");
    assert!(two.authenticate("boss", "boss-secret").await.unwrap());
    let none = server.store("read_only_ldap", &format!("ldap://localhost:{nobody}"), "");
    assert!(matches!(none.users("*").await, Err(UserStoreError::Unavailable(_))));
    let mut wrong = server.store("read_only_ldap", &server.url(), "");
    wrong.config.connection_password.0.push('x');
    let error = wrong.users("*").await.expect_err("the password is another one").to_string();
    assert!(error.contains("ConnectionPassword"), "{error}");
    // One that takes connections and says nothing.
    let silent = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("ldap://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let store = server.store("read_only_ldap", &url, "read_timeout = 100\nldap_connection_timeout = 100");
    let error = store.users("*").await.expect_err("nobody answers").to_string();
    assert!(error.contains("no answer in time"), "{error}");
}

#[test]
fn what_is_misconfigured_is_named() {
    let tls = Arc::new(ClientTls::new(&ClientTlsConfig::default()).unwrap());
    for (more, why) in [
        ("user_name_list_filter = '(a=b'", "UserNameListFilter: a ) is missing"),
        ("group_name_search_filter = 'cn=?'", "GroupNameSearchFilter: a ( is missing"),
        ("user_name_attribute = 'u id'", "UserNameAttribute: 'u id' is not the name of an attribute"),
        ("username_java_regex = '('", "UsernameJavaRegEx is no regular expression"),
        ("membership_attribute = ''", "MembershipAttribute and MemberOfAttribute are empty"),
    ] {
        let error = LdapUsers::new(config("read_only_ldap", "ldap://h", more), tls.clone()).expect_err("it is wrong");
        assert!(error.contains(why), "{more}: {error}");
    }
    let error = LdapUsers::new(config("read_only_ldap", "http://h", ""), tls).expect_err("it is wrong");
    assert!(error.contains("ConnectionURL: 'http://h' is not"), "{error}");
}
