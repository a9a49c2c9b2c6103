from pathlib import Path

import pytest

from understudy.errors import BadOption
from understudy.stages.merge.options import MergeOptions
from understudy.stages.swap import SwapOptions, swap


@pytest.mark.parametrize("part", [{"frames": "3-5"}, {"preview": True}, {"debug": True}])
def test_a_swap_makes_a_whole_video(part: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(
        BadOption, match=rf"merge\.{next(iter(part))}: swap makes a whole video.*understudy merge"
    ):
        list(
            swap(
                tmp_path / "a.mp4",
                tmp_path / "b.mp4",
                tmp_path / "out.mp4",
                SwapOptions(merge=MergeOptions(**part)),
            )
        )
    assert not list(tmp_path.iterdir())
