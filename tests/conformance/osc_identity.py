"""Commands about identity: every kind of object created, shown, changed, listed and deleted.

Called by `osc.py`; the vocabulary is in `osc_steps`.
"""

from osc_steps import Step, both, count, has, holds, like, no_row, row, says

ID = like(r"^[0-9a-f-]{32,36}$")
USER = {"OS_USERNAME": "{user}", "OS_PASSWORD": "Secret-1", "OS_USER_DOMAIN_ID": "{domain_id}",
        "OS_PROJECT_NAME": "{project}", "OS_PROJECT_DOMAIN_ID": "{domain_id}"}
CREDENTIAL = {"OS_AUTH_TYPE": "v3applicationcredential",
              "OS_APPLICATION_CREDENTIAL_ID": "{credential_id}",
              "OS_APPLICATION_CREDENTIAL_SECRET": "{credential_secret}"}
TOKEN = {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": "{old_token}"}

STEPS = [
    Step("token issue", has(id=like("^.{40,}$"), project_id=ID, user_id=ID)),
    Step("catalog list", row(Type="identity")),
    Step("catalog show identity", has(type="identity")),
    Step("versions show --service identity", row(Service_Type="identity", Status="CURRENT")),
    # From a file the field is auth.password, from the environment password.
    Step("configuration show", says('password": "<redacted>"')),

    Step("domain create --description first {domain}",
         has(name="{domain}", description="first", enabled=True, id=ID),
         keep={"domain_id": "id"}),
    Step("domain list", row(ID="{domain_id}", Name="{domain}", Enabled=True)),
    Step("domain show {domain}", has(id="{domain_id}", description="first")),
    Step("domain set --description second {domain}"),
    Step("domain show {domain_id}", has(description="second")),
    Step("domain create {domain}", fails="409|[Cc]onflict|[Dd]uplicate"),

    Step("project create --domain {domain} --description p --tag blue --property cost=7 {project}",
         has(name="{project}", domain_id="{domain_id}", tags=holds("blue"), enabled=True),
         keep={"project_id": "id"}),
    Step("project list --domain {domain}", row(ID="{project_id}", Name="{project}")),
    Step("project list --tags blue --domain {domain}", row(Name="{project}")),
    Step("project show --domain {domain} {project}", has(id="{project_id}", description="p")),
    Step("project set --description q --tag red --domain {domain} {project}"),
    Step("project show {project_id}", has(description="q", tags=holds("blue", "red"))),
    Step("project show nothing-of-that-name", fails="No Project found"),

    Step("user create --domain {domain} --password Secret-1 --email a@example.org {user}",
         has(name="{user}", domain_id="{domain_id}", email="a@example.org", enabled=True),
         keep={"user_id": "id"}),
    Step("user list --domain {domain}", row(ID="{user_id}", Name="{user}")),
    Step("user show --domain {domain} {user}", has(id="{user_id}")),
    Step("user set --description changed --domain {domain} {user}"),
    Step("user show {user_id}", has(description="changed")),

    Step("role create --description d {role}", has(name="{role}", id=ID), keep={"role_id": "id"}),
    Step("role list", both(row(Name="{role}"), row(Name="admin"), row(Name="member"),
                           row(Name="reader"))),
    Step("role show {role}", has(id="{role_id}", description="d")),
    Step("role set --name {role2} {role}"),
    Step("role show {role2}", has(id="{role_id}")),
    Step("role add --project {project_id} --user {user_id} {role2}"),
    Step("role add --project {project_id} --user {user_id} member"),
    Step("role add --domain {domain_id} --user {user_id} reader"),
    Step("role assignment list --user {user_id} --names",
         both(count(2, Project="{project}@{domain}"), count(1, Domain="{domain}"))),
    Step("role assignment list --user {user_id} --project {project_id} --effective",
         row(User="{user_id}", Project="{project_id}")),
    Step("role assignment list --role {role2}", count(1, User="{user_id}")),

    Step("token issue", has(project_id="{project_id}", user_id="{user_id}"), who=USER),
    Step("project list --my-projects", count(1, ID="{project_id}"), who=USER),
    Step("domain create {forbidden}", fails="403|not authorized|[Ff]orbidden", who=USER),
    Step("application credential create --secret sesame-open-1 --role member "
         "--description d {credential}",
         has(Name="{credential}", Secret="sesame-open-1", **{"Project ID": "{project_id}"}),
         keep={"credential_id": "ID", "credential_secret": "Secret"}, who=USER),
    Step("application credential list",
         row(ID="{credential_id}", Name="{credential}"), who=USER),
    Step("application credential show {credential}",
         has(ID="{credential_id}", Description="d"), who=USER),
    Step("token issue", has(project_id="{project_id}", user_id="{user_id}"), who=CREDENTIAL),
    Step("application credential delete {credential}", who=USER),
    Step("token issue", fails="Could not find|401|404", who=CREDENTIAL),

    Step("role remove --project {project_id} --user {user_id} {role2}"),
    Step("role assignment list --user {user_id} --project {project_id}", count(1)),
    Step("user set --disable {user_id}"),
    Step("token issue", fails="401|requires authentication", who=USER),
    Step("user set --enable {user_id}"),
    Step("user password set --original-password wrong --password x", fails="401|authenti",
         who=USER),
    Step("user password set --original-password Secret-1 --password Secret-2", who=USER),
    Step("token issue", fails="401|requires authentication", who=USER),

    Step("region create --description d {region}", has(region="{region}")),
    Step("region list", row(Region="{region}")),
    Step("region set --description e {region}"),
    Step("region show {region}", has(description="e")),
    Step("service create --name {service} --description d osc-type",
         has(name="{service}", type="osc-type", enabled=True), keep={"service_id": "id"}),
    Step("service list", row(ID="{service_id}", Type="osc-type")),
    Step("service set --description e {service}"),
    Step("service show {service}", has(description="e")),
    Step("endpoint create --region {region} {service} public http://127.0.0.1:1/x",
         has(interface="public", region_id="{region}", service_id="{service_id}"),
         keep={"endpoint_id": "id"}),
    Step("endpoint list --service {service}", row(ID="{endpoint_id}", Region="{region}")),
    Step("endpoint set --url http://127.0.0.1:1/y {endpoint_id}"),
    Step("endpoint show {endpoint_id}", has(url="http://127.0.0.1:1/y")),
    Step("endpoint delete {endpoint_id}"),
    Step("endpoint list", no_row(ID="{endpoint_id}")),
    Step("service delete {service}"),
    Step("region delete {region}"),
    Step("region list", no_row(Region="{region}")),

    Step("role delete {role2}"),
    Step("user delete {user_id}"),
    Step("user show {user_id}", fails="No User found"),
    Step("project delete {project_id}"),
    Step("project list --domain {domain}", count(0)),
    Step("domain set --disable {domain}"),
    Step("domain delete {domain}"),
    Step("domain list", no_row(ID="{domain_id}")),
    Step("token issue -c id -f value", says("^.{40,}\n$"),
         keep={"old_token": lambda result: result.output.strip()}),
    Step("token revoke {old_token}"),
    Step("token issue", fails="404|401|Failed to validate|authenti", who=TOKEN),
]
