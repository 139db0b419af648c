"""The OpenAPI document: the routes, valid examples, and random requests from it, none of which ends in a 5xx."""

import hypothesis
import jsonschema
import pytest
import schemathesis

from hwr_jax.web import openapi
from hwr_jax.web.limits import Limits

DOCUMENT = openapi.document(Limits())


def resolved(schema):
    """A schema with the components that it refers to."""
    return {**schema, "components": DOCUMENT["components"]}


def test_the_document_has_the_routes_with_their_methods(serving):
    asked = serving()
    files = {"/", *(f"/{path}" for path in asked.server.paths)}
    routes = [route for route in asked.application._app.routes if route.path not in files]
    found = {route.path: {method.lower() for method in route.methods} - {"head"} for route in routes}
    assert found == {path: set(methods) for path, methods in DOCUMENT["paths"].items()}


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/scan"])
def test_the_examples_and_the_answers_have_the_form_that_it_gives(serving, digit, path):
    [content] = DOCUMENT["paths"][path]["post"]["responses"]["200"]["content"].values()
    check = jsonschema.Draft202012Validator(resolved(content["schema"]))
    check.validate(content["example"])
    check.validate(serving().post(path, digit).json())
    with pytest.raises(jsonschema.ValidationError):
        check.validate([{"image": "a"}])


def test_every_parameter_has_an_example_that_is_accepted(serving, digit):
    for path in ("/v1/predict", "/v1/scan"):
        for one in DOCUMENT["paths"][path]["post"]["parameters"]:
            assert serving().post(f"{path}?{one['name']}={one['example']}", digit).status_code == 200


def _loaded(serving):
    asked = serving()
    return schemathesis.openapi.from_asgi("/openapi.json", asked.application, headers={"host": "localhost"})


def test_no_random_request_ends_in_a_5xx_or_in_an_answer_that_is_not_documented(serving):
    schema = _loaded(serving)
    seen = []
    for operation in schema.get_all_operations():

        @hypothesis.settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.ok().as_strategy())
        def ask(case):
            case.headers = {**(case.headers or {}), "host": "localhost"}
            answer = case.call()
            seen.append(answer.status_code)
            checks = schemathesis.checks
            # A schema cannot say which bytes are a picture: one that is refused is no finding.
            case.validate_response(answer, excluded_checks=[checks.CHECKS.get_one("positive_data_acceptance")])

        ask()
    assert len(seen) >= 50
    assert max(seen) < 500
