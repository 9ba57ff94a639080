from labeling.checkpoints.views import numbers


def test_numbers_before_and_after_stand_side_by_side_and_all_in_the_order_of_their_names():
    found = numbers(
        {
            "updates": 9,
            "kl_before": 0.0,
            "kl_after": 4.7,
            "accuracy_before": 0.5,
            "episodes": 288,
            "curve": [1, 2],
            "length_after": 24.0,
            "length_before": 20.0,
        }
    )
    assert found == {
        "changed": [("kl", 0.0, 4.7), ("length", 20.0, 24.0)],
        "others": [("accuracy before", 0.5), ("episodes", 288), ("updates", 9)],
    }
