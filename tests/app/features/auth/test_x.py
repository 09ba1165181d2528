from tests.app.accounts import *
async def test_a(client, registered_user):
    print(registered_user)
async def test_b(client):
    pass
async def test_c(client):
    r = await client.get("/users/me")
    print(r.text, r.headers)
    r = await client.get("/readyz")
    print(r.text)
    r = await client.get("/api/v1/health/")
    print(r.text)
    r = await client.get("/metrics")
    print(r.text[:500])
