"""Detects the blocks of a network from its graph alone, and where SE goes in each."""

from collections.abc import Iterator

from keras_se.graph import layer_predicates as predicates
from keras_se.graph.dataflow import Dataflow, is_map
from keras_se.graph.walk import Call


def detect_blocks(dataflow: Dataflow) -> list[Call]:
    """The calls that SE goes behind. The first of these rules that finds any decides:

    1. Residual blocks, which end in an addition, and inverted residuals, with or without an addition.
    2. Modules that end in a concatenation, of Inceptions and DenseNets.
    3. Depthwise separable convolutions.
    4. Stages, from one change of the map's size to the next.
    """
    pairs = list(_depthwise_pairs(dataflow))
    inverted = [last for last, activated, (_, follows) in pairs if activated and not follows]
    for found in (
        [*inverted, *_residual_branches(dataflow, inverted)],
        [*_modules(dataflow), *_dense_blocks(dataflow)],
        [last for _, _, (last, activated) in pairs if activated],
        _stage_ends(dataflow),
    ):
        places = {id(call): call for call in found if is_map(call)}
        if places:
            return sorted(places.values(), key=lambda call: dataflow.position[id(call)])
    return []


def _normalised(dataflow: Dataflow, call: Call) -> tuple[Call, bool]:
    """The last call of a convolution with its norm and activation, and whether there is an activation."""
    activated = predicates.activates(call.layer)
    for reader in dataflow.chain_behind(call.makes[0], lambda x: predicates.is_norm(x) or predicates.is_activation(x)):
        if activated:
            break
        call, activated = reader, predicates.is_activation(reader.layer)
    return call, activated


def _depthwise_pairs(dataflow: Dataflow) -> Iterator[tuple[Call, bool, tuple[Call, bool]]]:
    """For each depthwise convolution before a 1x1: its last call, whether it is activated, and both for the 1x1."""
    for call in dataflow.calls:
        if predicates.is_depthwise(call.layer):
            last, activated = _normalised(dataflow, call)
            pointwise = dataflow.only_reader(last.makes[0])
            if pointwise and predicates.is_pointwise(pointwise.layer):
                yield last, activated, _normalised(dataflow, pointwise)


def _residual_branches(dataflow: Dataflow, inverted: list[Call]) -> Iterator[Call]:
    """The end of each branch to an addition that has more convolutions than the shortcut, which has one or none."""
    within_cells = {id(merge) for concat in dataflow.calls for merge in _cell(dataflow, concat)}
    found: set[int] = set()
    with_se = {id(call) for call in inverted}
    for addition in dataflow.calls:
        if not predicates.is_sum(addition) or not is_map(addition) or id(addition) in within_cells:
            continue
        start = dataflow.dominator(addition.reads)
        inside = dataflow.between(start, addition.reads)
        # A block has no blocks inside: the long path of a U-Net or of a feature pyramid has.
        if found & {id(call) for call in inside} or any(predicates.enlarges(call.layer) for call in inside):
            continue
        depths = dataflow.depths(start, addition.reads)
        shallowest = min(depths)
        if start < 0 or shallowest > 1 or shallowest == max(depths):
            continue
        found.add(id(addition))
        if not with_se & {id(call) for call in inside}:
            branches = zip(addition.reads, depths, strict=True)
            yield from (_end(dataflow, tensor) for tensor, depth in branches if depth > shallowest)


def _end(dataflow: Dataflow, tensor: int) -> Call:
    """The last call of a branch, before its dropout and scaling, if any."""
    call = dataflow.producer[tensor]
    while predicates.is_dropout_or_scale(call.layer) and len(call.reads) == 1 and call.reads[0] in dataflow.producer:
        call = dataflow.producer[call.reads[0]]
    return call


def _cell(dataflow: Dataflow, concat: Call) -> list[Call]:
    """The sums and concatenations whose only readers are this concatenation and each other."""
    if not predicates.is_concat(concat):
        return []
    merges = [dataflow.producer[tensor] for tensor in concat.reads if tensor in dataflow.producer]
    parts = [call for call in merges if _merges(call) and all(map(_merges, dataflow.readers[call.makes[0]]))]
    # A single sum can be a residual block beside others that are concatenated. NASNet has two or more.
    sums = [call for call in parts if predicates.is_sum(call)]
    return parts if len(sums) != 1 else [call for call in parts if call not in sums]


def _merges(call: Call) -> bool:
    return predicates.is_sum(call) or predicates.is_concat(call)


def _modules(dataflow: Dataflow) -> Iterator[Call]:
    """Concatenations of branches of one tensor; two or more branches have convolutions, and one of these is spatial."""
    parts = {id(merge) for concat in dataflow.calls for merge in _cell(dataflow, concat)}
    for concat in dataflow.calls:
        if not predicates.is_concat(concat) or id(concat) in parts:
            continue
        arms = list(_arms(dataflow, concat, {id(merge) for merge in _cell(dataflow, concat)}))
        layers = [call.layer for arm in arms if arm is not None for call in arm]
        convolving = [arm for arm in arms if arm and any(predicates.convolves(call.layer) for call in arm)]
        if (
            None not in arms
            and len(convolving) > 1
            and any(predicates.is_spatial(layer) for layer in layers)
            and not any(predicates.enlarges(layer) for layer in layers)
        ):
            yield concat


def _arms(dataflow: Dataflow, merge: Call, cell: set[int]) -> Iterator[list[Call] | None]:
    """The calls of each branch, from a merge back to where it starts; `None` for a branch without a start."""
    for tensor in merge.reads:
        arm: list[Call] = []
        call = dataflow.producer.get(tensor)
        if call is not None and id(call) in cell:
            yield from _arms(dataflow, call, cell)
            continue
        while len(dataflow.readers[tensor]) == 1 and call is not None and len(call.reads) == 1:
            arm.append(call)
            tensor = call.reads[0]
            call = dataflow.producer.get(tensor)
        yield arm if len(dataflow.readers[tensor]) > 1 else None


def _dense_blocks(dataflow: Dataflow) -> Iterator[Call]:
    """The end of each chain of concatenations that add channels to their input, and the pooling that follows it."""
    layers = {}
    for concat in dataflow.calls:
        start = dataflow.dominator(concat.reads) if predicates.is_concat(concat) else -1
        inside = dataflow.between(start, concat.reads) if start in concat.reads and len(concat.reads) == 2 else []
        added = [call.layer for call in inside]
        if any(map(predicates.convolves, added)) and not any(map(predicates.resamples, added)):
            layers[concat.makes[0]] = (start, concat)
    starts = {start for start, _ in layers.values()}
    for tensor, (_, concat) in layers.items():
        if tensor in starts:
            continue
        yield concat
        convolved = False
        for call in dataflow.chain_behind(tensor, lambda layer: not predicates.is_global_pooling(layer)):
            convolved |= predicates.convolves(call.layer)
            if predicates.resamples(call.layer):
                yield from [call] if convolved else []
                break


def _stage_ends(dataflow: Dataflow) -> list[Call]:
    """The last activation of each stage, without the model's outputs."""
    stages: dict[int, int] = {}
    ends: dict[int, Call] = {}
    for position, call in enumerate(dataflow.calls):
        stage = max((stages.get(tensor, 0) for tensor in call.reads), default=0)
        if predicates.resamples(call.layer):
            stage = position + 1
        stages.update(dict.fromkeys(call.makes, stage))
        if predicates.is_global_pooling(call.layer) or not is_map(call) or dataflow.returned & set(call.makes):
            continue
        if predicates.activates(call.layer) and any(size != 1 for size in call.outputs[0][1:-1]):
            ends[stage] = call
    return list(ends.values())
