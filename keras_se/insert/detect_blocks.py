"""Where squeeze-and-excitation goes by itself: a few rules over the graph of a network, whatever its name."""

from collections.abc import Iterator

from keras_se.graph import layer_predicates as kinds
from keras_se.graph.dataflow import Structure, is_map
from keras_se.graph.walk import Call


def recognised(structure: Structure) -> list[Call]:
    """The calls that SE goes behind. The first kind of block that a network has decides:

    1. Blocks that end in an addition, residual ones, and inverted residuals with or without it.
    2. Modules that end in a concatenation, of Inceptions and DenseNets.
    3. Depthwise separable convolutions.
    4. None of these: stages, from one change of the map's size to the next.
    """
    inverted = list(_inverted_residuals(structure))
    for found in (
        [*inverted, *_residual_branches(structure, inverted)],
        [*_modules(structure), *_dense_blocks(structure)],
        list(_separable(structure)),
        _stage_ends(structure),
    ):
        places = {id(call): call for call in found if is_map(call)}
        if places:
            return sorted(places.values(), key=lambda call: structure.position[id(call)])
    return []


def _normalised(structure: Structure, call: Call) -> tuple[Call, bool]:
    """The last call of a convolution's norm and activation, and whether there is an activation."""
    activated = kinds.activates(call.layer)
    for follower in structure.follow(call.makes[0], lambda layer: kinds.is_norm(layer) or kinds.is_activation(layer)):
        if activated:
            break
        call, activated = follower, kinds.is_activation(follower.layer)
    return call, activated


def _pointwise_after(structure: Structure, depthwise: Call) -> tuple[Call, bool, Call] | None:
    """Behind a depthwise convolution: its last call, whether it is activated, and the 1x1 convolution that follows."""
    last, activated = _normalised(structure, depthwise)
    pointwise = structure.reader(last.makes[0])
    return (last, activated, pointwise) if pointwise and kinds.is_pointwise(pointwise.layer) else None


def _inverted_residuals(structure: Structure) -> Iterator[Call]:
    """Depthwise, norm, activation ← here, and a 1x1 convolution that no activation follows."""
    for call in structure.calls:
        found = _pointwise_after(structure, call) if kinds.is_depthwise(call.layer) else None
        if found is not None:
            last, activated, pointwise = found
            if activated and not _normalised(structure, pointwise)[1]:
                yield last


def _separable(structure: Structure) -> Iterator[Call]:
    """Depthwise, a 1x1 convolution, norm, activation ← here."""
    for call in structure.calls:
        found = _pointwise_after(structure, call) if kinds.is_depthwise(call.layer) else None
        if found is not None:
            last, activated = _normalised(structure, found[2])
            if activated:
                yield last


def _residual_branches(structure: Structure, inverted: list[Call]) -> Iterator[Call]:
    """At the end of each way to an addition that has more convolutions than the shortcut, which has one or none."""
    within_cells = {id(merge) for concat in structure.calls for merge in _cell(structure, concat)}
    found: set[int] = set()
    excited = {id(call) for call in inverted}
    for addition in structure.calls:
        if not kinds.is_sum(addition) or not is_map(addition) or id(addition) in within_cells:
            continue
        fork = structure.fork(addition.reads)
        inside = structure.between(fork, addition.reads)
        # What has blocks inside is no block: the long way of a U-Net, or of a feature pyramid.
        if found & {id(call) for call in inside} or any(kinds.enlarges(call.layer) for call in inside):
            continue
        lengths = structure.lengths(fork, addition.reads)
        shortest = min(lengths)
        if fork < 0 or shortest > 1 or shortest == max(lengths):
            continue
        found.add(id(addition))
        if not excited & {id(call) for call in inside}:
            branches = zip(addition.reads, lengths, strict=True)
            yield from (_end(structure, tensor) for tensor, length in branches if length > shortest)


def _end(structure: Structure, tensor: int) -> Call:
    """The last call of a branch, before dropout and the scaling of the branch, if it has these."""
    call = structure.maker[tensor]
    while kinds.is_drop(call.layer) and len(call.reads) == 1 and call.reads[0] in structure.maker:
        call = structure.maker[call.reads[0]]
    return call


def _cell(structure: Structure, concat: Call) -> list[Call]:
    """The sums and concatenations that are a part of a concatenation: they go into it, and into each other, alone."""
    if not kinds.is_concat(concat):
        return []
    merges = [structure.maker[tensor] for tensor in concat.reads if tensor in structure.maker]
    parts = [call for call in merges if _merges(call) and all(map(_merges, structure.readers[call.makes[0]]))]
    # One sum may be the last residual block of several that are concatenated; two are NASNet's.
    sums = [call for call in parts if kinds.is_sum(call)]
    return parts if len(sums) != 1 else [call for call in parts if call not in sums]


def _merges(call: Call) -> bool:
    return kinds.is_sum(call) or kinds.is_concat(call)


def _modules(structure: Structure) -> Iterator[Call]:
    """Behind a concatenation of ways from a fork, of which two or more have convolutions, one a spatial one."""
    inner = {id(merge) for concat in structure.calls for merge in _cell(structure, concat)}
    for concat in structure.calls:
        if not kinds.is_concat(concat) or id(concat) in inner:
            continue
        arms = list(_arms(structure, concat, {id(merge) for merge in _cell(structure, concat)}))
        layers = [call.layer for arm in arms if arm is not None for call in arm]
        convolving = [arm for arm in arms if arm and any(kinds.convolves(call.layer) for call in arm)]
        if (
            None not in arms
            and len(convolving) > 1
            and any(kinds.is_spatial(layer) for layer in layers)
            and not any(kinds.enlarges(layer) for layer in layers)
        ):
            yield concat


def _arms(structure: Structure, merge: Call, cell: set[int]) -> Iterator[list[Call] | None]:
    """The calls on each way back from a merge to where it forks off, the last first; `None` for one that does not."""
    for tensor in merge.reads:
        arm: list[Call] = []
        call = structure.maker.get(tensor)
        if call is not None and id(call) in cell:
            yield from _arms(structure, call, cell)
            continue
        while len(structure.readers[tensor]) == 1 and call is not None and len(call.reads) == 1:
            arm.append(call)
            tensor = call.reads[0]
            call = structure.maker.get(tensor)
        yield arm if len(structure.readers[tensor]) > 1 else None


def _dense_blocks(structure: Structure) -> Iterator[Call]:
    """Behind the last of concatenations that add channels to what they have, and behind the pooling that follows."""
    layers = {}
    for concat in structure.calls:
        fork = structure.fork(concat.reads) if kinds.is_concat(concat) else -1
        inside = structure.between(fork, concat.reads) if fork in concat.reads and len(concat.reads) == 2 else []
        if any(kinds.convolves(call.layer) for call in inside) and not any(kinds.resamples(c.layer) for c in inside):
            layers[concat.makes[0]] = (fork, concat)
    forks = {fork for fork, _ in layers.values()}
    for tensor, (_, concat) in layers.items():
        if tensor in forks:
            continue
        yield concat
        convolved = False
        for call in structure.follow(tensor, lambda layer: not kinds.is_global(layer)):
            convolved |= kinds.convolves(call.layer)
            if kinds.resamples(call.layer):
                yield from [call] if convolved else []
                break


def _stage_ends(structure: Structure) -> list[Call]:
    """The last activation of each stage, the model's outputs left out."""
    stages: dict[int, int] = {}
    ends: dict[int, Call] = {}
    for position, call in enumerate(structure.calls):
        stage = max((stages.get(tensor, 0) for tensor in call.reads), default=0)
        if kinds.resamples(call.layer):
            stage = position + 1
        stages.update(dict.fromkeys(call.makes, stage))
        if kinds.is_global(call.layer) or not is_map(call) or structure.returned & set(call.makes):
            continue
        if kinds.activates(call.layer) and any(size != 1 for size in call.outputs[0][1:-1]):
            ends[stage] = call
    return list(ends.values())
