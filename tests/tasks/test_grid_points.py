"""Valid and invalid values of ``--over``."""

import pytest

from collidekit.errors import CollidekitError
from collidekit.tasks.grid_points import parse_over, points_of


def test_values_have_the_types_of_their_settings() -> None:
    found = parse_over(
        ["epochs=5,10; model-options.f=[64,64],[8]", "mixed_precision=true,false", "model_options.act=relu"]
    )
    assert found == {
        "epochs": [5, 10], "model_options.f": [[64, 64], [8]], "mixed_precision": [True, False], "model_options.act": ["relu"]
    }  # fmt: skip
    points = points_of(found)
    assert len(points) == 8
    assert points[0] == {"epochs": 5, "model_options.f": [64, 64], "mixed_precision": True, "model_options.act": "relu"}
    assert points[-1]["epochs"] == 10
    assert parse_over(["betas=[0.9,0.99],[0.8,0.9]"]) == {"betas": ["0.9,0.99", "0.8,0.9"]}
    assert parse_over(['learning_rate_factors={"network.f.*": 0.1},{"network.f.*": 1}'])["learning_rate_factors"][
        0
    ] == {"network.f.*": 0.1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; give at least one setting"),
        ("epochs", "write it as name=value,value"),
        ("epochs=", "a value is empty"),
        ("epochs=5,", "a value is empty"),
        ("epoch=5", r"no setting 'epoch' \(did you mean 'epochs'"),
        ("epochs=5,five", "'five' is not a whole number"),
        ("learning_rate=x", "'x' is not a number"),
        ("epochs=5,5", "the value 5 is repeated"),
        ("learning_rate=0.1,1e-1", "the value 0.1 is repeated"),
        ("epochs=5;epochs=6", "epochs: is repeated"),
        ("epochs.x=5", "only options of the network are written with a dot"),
        ("seed=1,2", "give --seeds"),
        ("train_val_split=0.5,0.8", "different validation rows"),
        ('model_options={"f": [3]};model_options.f=[4]', "is also given by model_options"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(CollidekitError, match=said):
        parse_over([text])
