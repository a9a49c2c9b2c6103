from understudy.io.atomic import PARTIAL, remove_folder


def test_a_removed_folder_is_gone_at_once(tmp_path, monkeypatch):
    """What dies while its files go leaves nothing behind that looks like the folder."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").write_text("")
    monkeypatch.setattr("understudy.io.atomic.shutil.rmtree", lambda *_, **__: None)
    remove_folder(tmp_path / "old")
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".old-") and left.name.endswith(PARTIAL)


def test_nothing_is_left_of_it(tmp_path):
    (tmp_path / "old").mkdir()
    remove_folder(tmp_path / "old")
    assert not list(tmp_path.iterdir())
