"""Keys over the API: made, listed, revoked; an admin's matter."""

import httpx

from mfnet.service.db.repositories.jobs import JobRepository


def holder(api, secret: str) -> httpx.Client:
    return httpx.Client(
        base_url=api.url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False
    )


def test_a_key_works_from_its_first_answer_to_its_revocation(api):
    made = api.admin.post("/keys", json={"name": "Anna"})
    assert made.status_code == 201
    told = made.json()
    assert (told["name"], told["role"], told["revoked"]) == ("Anna", "user", None)
    assert told["secret"].startswith(told["prefix"])
    with holder(api, told["secret"]) as anna:
        assert anna.get("/keys/mine").json()["name"] == "Anna"
        assert [key["id"] for key in anna.get("/keys").json()["keys"]] == [told["id"]]
        assert anna.get("/me").json()["key"]["used"] is not None
        assert anna.post("/keys", json={}).json()["code"] == "auth.forbidden"
        gone = api.admin.delete(made.headers["location"]).json()
        assert gone["revoked"] is not None
        assert anna.get("/jobs").status_code == 401
    again = api.admin.delete(made.headers["location"])
    assert (again.status_code, again.json()["code"]) == (404, "key.unknown")


def test_the_list_holds_no_key(api):
    secret = api.admin.post("/keys", json={"role": "admin"}).json()["secret"]
    listed = api.admin.get("/keys")
    assert [key["role"] for key in listed.json()["keys"]] == ["user", "user", "admin", "admin"]
    assert secret not in listed.text
    assert "sha256" not in listed.text


def test_a_reader_sees_what_its_key_sees_and_dies_with_it(api):
    job = api.submit()["id"]
    made = api.user.post("/keys", json={"role": "reader", "name": "QGIS", "days": 30})
    told = made.json()
    owner = api.user.get("/keys/mine").json()["id"]
    assert (made.status_code, told["of"], told["role"]) == (201, owner, "reader")
    assert told["expires"] > told["created"]
    with holder(api, told["secret"]) as reader:
        assert reader.get(f"/jobs/{job}").status_code == 200
        assert reader.delete(f"/jobs/{job}").json()["code"] == "auth.forbidden"
        assert reader.put("/uploads/a.tif", content=b"x").json()["code"] == "auth.forbidden"
        assert reader.get("/audit").status_code == 403
        # Another's key, and a reader's, have no readers of theirs.
        for of in (owner, told["id"]):
            refused = api.other.post("/keys", json={"role": "reader", "of": of})
            assert refused.json()["code"] == "auth.forbidden"
        of_reader = api.admin.post("/keys", json={"role": "reader", "of": told["id"]})
        assert of_reader.json()["code"] == "key.unknown"
        assert api.other.delete(made.headers["location"]).json()["code"] == "key.unknown"
        assert api.admin.delete(f"/keys/{owner}").status_code == 200
        assert reader.get(f"/jobs/{job}").status_code == 401


def test_users_of_one_key_share_what_any_of_them_makes(api):
    group = api.admin.post("/keys", json={"name": "Survey office"}).json()["id"]
    made = [api.admin.post("/keys", json={"name": n, "of": group}).json() for n in ("Anna", "Ben")]
    with holder(api, made[0]["secret"]) as anna, holder(api, made[1]["secret"]) as ben:
        assert anna.put("/uploads/ortho.tif", content=b"x").status_code == 201
        (upload,) = ben.get("/uploads").json()["uploads"]
        assert api.user.get(f"/uploads/{upload['id']}").status_code == 404
        assert ben.delete(f"/uploads/{upload['id']}").status_code == 204
        assert ben.get("/audit").status_code == 403
        assert ben.post("/keys", json={"of": group}).json()["code"] == "auth.forbidden"
        assert ben.delete(f"/keys/{made[0]['id']}").json()["code"] == "key.unknown"
        # A reader of the group's would outlive Ben's key.
        assert ben.post("/keys", json={"role": "reader"}).json()["code"] == "auth.forbidden"
        api.admin.delete(f"/keys/{made[0]['id']}").raise_for_status()
        assert anna.get("/uploads").status_code == 401
        assert ben.get("/uploads").status_code == 200


def test_no_user_shares_an_admins_key(api):
    admin = api.admin.get("/keys/mine").json()["id"]
    made = api.admin.post("/keys", json={"name": "Anna"}).json()["id"]
    member = api.admin.post("/keys", json={"of": made}).json()["id"]
    for of, role in ((admin, "user"), (made, "admin"), (member, "user"), (member, "reader")):
        refused = api.admin.post("/keys", json={"role": role, "of": of})
        assert (refused.status_code, refused.json()["code"]) == (404, "key.unknown")


def test_what_admins_do_is_kept(api):
    made = api.admin.post("/keys", json={"name": "Anna"}).json()
    job = api.submit()["id"]
    api.admin.delete(f"/jobs/{job}").raise_for_status()
    api.admin.delete(f"/keys/{made['id']}").raise_for_status()
    told = api.admin.get("/audit").json()["entries"]
    actions = [(each["action"], each["subject"]) for each in told]
    expected = [("key revoked", made["id"]), ("job dismissed", job), ("key created", made["id"])]
    assert actions[:3] == expected
    assert {each["who"].partition(" (")[0] for each in told[:3]} == {"admin"}
    assert made["secret"] not in str(told)
    page = api.admin.get("/audit", params={"limit": 1}).json()
    (following,) = [link["href"] for link in page["links"] if link["rel"] == "next"]
    assert api.admin.get(following).json()["entries"][0]["subject"] == job
    assert api.user.get("/audit").status_code == 403


def test_the_last_admin_stays(api):
    own = api.admin.get("/keys/mine").json()["id"]
    refused = api.admin.delete(f"/keys/{own}")
    assert (refused.status_code, refused.json()["code"]) == (409, "key.last_admin")
    api.admin.post("/keys", json={"role": "admin"}).raise_for_status()
    assert api.admin.delete(f"/keys/{own}").status_code == 200
    assert api.admin.get("/jobs").status_code == 401


def test_what_is_no_role_is_none(api):
    assert api.admin.post("/keys", json={"role": "root"}).json()["code"] == "request.invalid"
    assert api.admin.post("/keys", json={"name": "a\nb"}).json()["code"] == "request.invalid"


def test_an_admin_is_told_how_the_service_is(api):
    api.submit()
    told = api.admin.get("/state").json()
    assert (told["waiting"], told["running"], told["workers"]) == (1, 0, [])
    assert 0 < told["disk_free_bytes"] <= told["disk_bytes"]
    assert set(told["quotas"].values()) == {None}
    with api.services.database.writing() as session:
        JobRepository(session).claim(api.submit()["id"], "host-7", 60, 3)
    told = api.admin.get("/state").json()
    assert (told["waiting"], told["running"], told["workers"]) == (1, 1, ["host-7"])
