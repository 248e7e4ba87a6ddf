"""Functions of a SavedModel are renamed wherever their names stand."""

from tensorflow.core.protobuf import saved_object_graph_pb2

from keras_se.export.saved_model.canonicalize import rename_strings


def test_functions_can_exchange_names():
    graph = saved_object_graph_pb2.SavedObjectGraph()
    for number in (1, 2, 3):
        graph.concrete_functions[f"f_{number}"].bound_inputs.append(number)
    graph.nodes.add().function.concrete_functions.extend(["f_1", "f_3"])
    rename_strings(graph, {"f_1": "f_0", "f_2": "f_1", "f_3": "f_2"})
    assert {name: list(one.bound_inputs) for name, one in graph.concrete_functions.items()} == {
        "f_0": [1],
        "f_1": [2],
        "f_2": [3],
    }
    assert list(graph.nodes[0].function.concrete_functions) == ["f_0", "f_2"]
