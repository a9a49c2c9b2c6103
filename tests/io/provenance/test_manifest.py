import contextlib
import errno
import io
import json
import os
import shutil
import stat
from pathlib import Path

import av
import c2pa
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from understudy.errors import BadMedia, BadOption, CannotWrite
from understudy.io import atomic, scratch
from understudy.io.provenance import signing_key
from understudy.io.provenance.manifest import (
    LONGEST_CONSENT,
    Claim,
    Ingredient,
    fingerprint,
    read_manifest,
    validate_credentials,
)
from understudy.io.provenance.marked import is_marked
from understudy.printable import printable
from understudy.stages.verify import VerifyOptions, verify


@pytest.fixture(autouse=True)
def own_credentials(tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "credentials"))
    for name in ("UNDERSTUDY_SIGN_CERT", "UNDERSTUDY_SIGN_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clip(tmp_path):
    """A second of noise with a hum."""
    path = tmp_path / "dst.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as output:
        video, audio = output.add_stream("libx264", rate=12), output.add_stream("aac", rate=8000)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 255, (48, 64, 3), np.uint8), "rgb24")
            frame.pts = number
            output.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(
            np.sin(np.arange(8000) / 9, dtype=np.float32)[None], "fltp", "mono"
        )
        sound.sample_rate, sound.pts = 8000, 0
        output.mux(audio.encode(sound))
        for stream in (video, audio):
            output.mux(stream.encode(None))
    return path


@pytest.fixture
def footage_src(tmp_path):
    folder = tmp_path / "src pictures"
    folder.mkdir()
    (folder / "1.png").write_bytes(b"one")
    return folder


@pytest.fixture
def signed(clip, footage_src, tmp_path):
    path = tmp_path / "result.mp4"
    sign(clip, path, [clip, footage_src])
    return path


def sign(unsigned, signed, ingredients):
    claim = Claim.edited(ingredients)
    with unsigned.open("rb") as file:
        claim.sign(file, signed)


def packets(path):
    with av.open(str(path)) as container:
        return [
            (each.stream.type, each.pts, each.dts, bytes(each))
            for each in container.demux()
            if each.size
        ]


def test_a_signed_file_says_what_it_is(signed, clip, footage_src):
    manifest = read_manifest(signed)
    assert (manifest.state, manifest.problems) == ("valid", ("signingCredential.untrusted",))
    assert manifest.tool == "Understudy"
    assert manifest.version
    assert manifest.made.startswith("20")
    assert manifest.is_synthetic
    dst = Ingredient("dst.mp4", "parentOf", fingerprint(clip))
    src = Ingredient("src pictures", "inputTo", fingerprint(footage_src))
    assert set(manifest.ingredients) == {dst, src}


def test_signing_leaves_pictures_and_sound_byte_identical(signed, clip):
    assert packets(signed) == packets(clip)
    assert {kind for kind, *_ in packets(signed)} == {"video", "audio"}


def test_one_changed_byte_is_found(signed):
    data = bytearray(signed.read_bytes())
    data[data.index(b"mdat") + 500] ^= 1
    signed.write_bytes(data)
    manifest = read_manifest(signed)
    assert manifest.state == "invalid"
    assert "assertion.bmffHash.mismatch" in manifest.problems
    events = verify(signed, VerifyOptions())
    assert "INVALID" in next(events).text
    with pytest.raises(BadMedia, match="bmffHash"):
        list(events)


def test_verify_tells_tool_and_footage(signed):
    *notes, finished = verify(signed, VerifyOptions())
    text = "\n".join(note.text for note in notes)
    for word in ("valid", "Understudy", "synthetic: yes", "dst.mp4", "src pictures"):
        assert word in text
    assert finished.summary["state"] == "valid"
    assert finished.summary["synthetic"] is True


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("both signed, folder 12", "both signed, folder 12"),
        # Letters and emoji that invisible characters join, and writing from right to left.
        ("Zoë, می‌خواهم, 李雷, 👩‍👩‍👧", "Zoë, می‌خواهم, 李雷, 👩‍👩‍👧"),
        ("first line\r\n\tsecond\u2028third", "first line second third"),
        ("red \x1b[31m and \x00", r"red \x1b[31m and \x00"),
        ("a byte of another coding: \udcff", r"a byte of another coding: \xff"),
        ("x" * 5000 + "end", "x" * (LONGEST_CONSENT - 200) + " … " + "x" * 194 + "end"),
        (" \n ", ""),
        (None, ""),
    ],
)
def test_what_is_written_down_of_consent_is_read_back(written, read, clip, tmp_path):
    path = tmp_path / "result.mp4"
    with clip.open("rb") as file:
        Claim.edited([clip], consent=written).sign(file, path)
    report = c2pa.Reader(path).json()
    (manifest,) = json.loads(report)["manifests"].values()
    said = [
        each["data"]["text"]
        for each in manifest["assertions"]
        if each["label"] == "org.understudy.consent"
    ]
    assert said == ([read] if read else [])
    *notes, finished = verify(path, VerifyOptions())
    assert finished.summary["consent"] == (read or None)
    told = " ".join(note.text for note in notes)
    assert (
        "consent: none is written down" if not read else f"consent: {printable(read[:100])}"
    ) in told
    # All of it, however long: no note is cut.
    assert told.count("x") >= read.count("x")


def test_a_signer_on_the_list_of_trust_is_trusted_and_others_are_refused(
    signed, clip, tmp_path, monkeypatch
):
    ours = signing_key.credentials_folder() / signing_key.CERTIFICATE
    assert [event for event in verify(signed, VerifyOptions(trust=str(ours)))][-1].summary[
        "state"
    ] == "trusted"
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "stranger"))
    sign(clip, tmp_path / "other.mp4", [clip])
    with pytest.raises(BadMedia, match="not in"):
        list(verify(tmp_path / "other.mp4", VerifyOptions(trust=str(ours))))


def test_a_result_keeps_the_history_of_its_footage(signed, footage_src, tmp_path):
    again = tmp_path / "again.mp4"
    sign(signed, again, [signed, footage_src])
    manifest = read_manifest(again)
    assert manifest.state == "valid"
    assert "result.mp4" in {each.title for each in manifest.ingredients}
    # The former manifest, which names the first footage, lies inside the new one.
    assert again.read_bytes().count(b"dst.mp4") > 0


def test_footage_whose_own_credentials_are_broken_can_still_be_used(signed, tmp_path):
    broken = tmp_path / "broken.mp4"
    data = bytearray(signed.read_bytes())
    data[data.index(b"mdat") + 500] ^= 1
    broken.write_bytes(data)
    sign(broken, tmp_path / "again.mp4", [broken])
    manifest = read_manifest(tmp_path / "again.mp4")
    assert manifest.state == "valid"
    assert [each.sha256 for each in manifest.ingredients] == [fingerprint(broken)]


def test_files_without_credentials_are_refused(clip, tmp_path):
    with pytest.raises(BadMedia, match="no content credentials"):
        list(verify(clip, VerifyOptions()))
    with pytest.raises(BadMedia, match="no such file"):
        list(verify(tmp_path / "nowhere.mp4", VerifyOptions()))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(BadMedia):
        list(verify(tmp_path / "text.mp4", VerifyOptions()))


def test_a_file_that_is_no_video_and_no_picture_is_told_so(tmp_path):
    (tmp_path / "face.dfm").write_bytes(b"onnx")
    with pytest.raises(BadMedia, match="files of this kind hold no content credentials"):
        read_manifest(tmp_path / "face.dfm")
    with pytest.raises(BadMedia, match="a folder"):
        read_manifest(tmp_path)


def test_the_key_is_made_once_and_nobody_else_may_read_it(signed, clip, tmp_path):
    key = signing_key.credentials_folder() / signing_key.KEY
    before = key.read_bytes()
    sign(clip, tmp_path / "second.mp4", [clip])
    assert key.read_bytes() == before
    shown = repr(signing_key.load_credentials())
    assert "PRIVATE" not in shown and before.splitlines()[1].decode() not in shown
    if os.name == "posix":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert (
        sorted(each.name for each in key.parent.parent.iterdir() if each.name.startswith(".")) == []
    )


def test_a_certificate_of_ones_own_is_used(clip, tmp_path, monkeypatch):
    signing_key.load_credentials()
    own = signing_key.credentials_folder().rename(tmp_path / "own")
    monkeypatch.setenv("UNDERSTUDY_SIGN_CERT", str(own / signing_key.CERTIFICATE))
    with pytest.raises(BadOption, match="belong together"):
        signing_key.load_credentials()
    monkeypatch.setenv("UNDERSTUDY_SIGN_KEY", str(own / signing_key.KEY))
    sign(clip, tmp_path / "result.mp4", [clip])
    assert read_manifest(tmp_path / "result.mp4").state == "valid"
    assert not signing_key.credentials_folder().exists()


def test_a_broken_certificate_is_told_before_anything_is_written(clip, tmp_path, monkeypatch):
    for name in ("CERT", "KEY"):
        (tmp_path / name).write_text("not PEM")
        monkeypatch.setenv(f"UNDERSTUDY_SIGN_{name}", str(tmp_path / name))
    with pytest.raises(BadOption, match="PEM"):
        sign(clip, tmp_path / "result.mp4", [clip])
    assert not (tmp_path / "result.mp4").exists()


def test_a_certificate_that_does_not_serve_is_found_before_the_work(tmp_path, monkeypatch):
    """One that may not sign at all: an authority's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = signing_key._name("authority")
    authority = signing_key._certificate(name, key, name, key, is_authority=True)
    pem = serialization.Encoding.PEM
    (tmp_path / "cert.pem").write_bytes(authority.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    for part in ("cert", "key"):
        monkeypatch.setenv(f"UNDERSTUDY_SIGN_{part.upper()}", str(tmp_path / f"{part}.pem"))
    with pytest.raises(BadOption, match="certificate"):
        validate_credentials()


def test_a_failed_signing_leaves_nothing(tmp_path, clip):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video at all")
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises((BadMedia, BadOption)):
        sign(bad, folder / "result.mp4", [clip])
    assert list(folder.iterdir()) == []


def copy_only(self, signer, media_type, source, signed):
    source.seek(0)
    shutil.copyfileobj(source, signed)


def sign_as_invalid(self, signer, media_type, source, signed):
    whole(self, signer, media_type, source, signed)
    signed.seek(-9, 2)
    signed.write(b"x")


def sign_as_photo(self, signer, media_type, source, signed):
    action = {"action": "c2pa.created", "digitalSourceType": f"{SOURCES}/digitalCapture"}
    claim = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}]}
    with c2pa.Builder(claim) as builder:
        whole(builder, signer, media_type, source, signed)


SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype"
whole = c2pa.Builder.sign


@pytest.mark.parametrize("fails", [copy_only, sign_as_invalid, sign_as_photo], ids=str)
@pytest.mark.parametrize("kind", ["video", "picture"])
def test_what_was_not_signed_never_takes_its_name(clip, tmp_path, monkeypatch, fails, kind):
    claim, folder = Claim.edited([clip]), tmp_path / "out"
    monkeypatch.setattr(c2pa.Builder, "sign", fails)
    with pytest.raises(CannotWrite, match=r"could not be read back.*nothing was kept"):
        if kind == "video":
            with clip.open("rb") as file:
                claim.sign(file, folder / "result.mp4")
        else:
            claim.write_picture(folder / "a.png", np.zeros((9, 9, 3), np.uint8))
    assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.parametrize("room", [0, 5000, 20000])
def test_a_disk_that_is_full_is_told_as_such(clip, tmp_path, monkeypatch, room):
    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            if self.file.tell() + len(data) > room:
                raise OSError(errno.ENOSPC, "full")
            return self.file.write(data)

        def __getattr__(self, name):
            return getattr(self.file, name)

    @contextlib.contextmanager
    def unnamed_file(folder):
        with atomic.explain_os_errors(folder):
            yield Full(io.BytesIO())

    claim = Claim.edited([clip])
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(scratch, "unnamed_file", unnamed_file)
    with pytest.raises(CannotWrite, match="the disk is full"), clip.open("rb") as file:
        claim.sign(file, tmp_path / "out" / "result.mp4")
    assert list((tmp_path / "out").iterdir()) == []


def test_no_file_has_a_name_before_it_is_signed(clip, tmp_path, monkeypatch):
    seen = []

    def look(self, signer, media_type, source, signed):
        seen.append(sorted(each.name for each in (tmp_path / "out").iterdir()))
        whole(self, signer, media_type, source, signed)
        seen.append(sorted(each.name for each in (tmp_path / "out").iterdir()))

    claim = Claim.edited([clip])
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(c2pa.Builder, "sign", look)
    claim.write_picture(tmp_path / "out" / "a.jpg", np.zeros((9, 9, 3), np.uint8))
    with clip.open("rb") as file:
        claim.sign(file, tmp_path / "out" / "result.mp4")
    assert seen == [[], [], ["a.jpg"], ["a.jpg"]] if os.name == "posix" else seen[0] == []


@pytest.mark.parametrize(("number", "says"), [(28, "disk is full"), (5, "the disk fails")])
def test_an_error_of_the_system_in_the_trial_of_the_signer_is_told(monkeypatch, number, says):
    def fail(*given):
        raise OSError(number, "as the system has it")

    monkeypatch.setattr(c2pa.Builder, "sign", fail)
    with pytest.raises(CannotWrite, match=says):
        validate_credentials()


def test_a_copy_that_was_broken_off_says_what_it_is_as_soon_as_it_plays(signed):
    """So does the partial file of a run that was killed."""
    data, plays = signed.read_bytes(), 0
    part = signed.with_name("part.mp4")
    for end in range(0, len(data), len(data) // 40):
        part.write_bytes(data[:end])
        try:
            with av.open(str(part)) as container:
                videos = container.streams.video
                shown = [packet.decode() for each in videos for packet in container.demux(each)]
        except av.FFmpegError:
            continue
        if not any(shown):
            continue
        plays += 1
        assert read_manifest(part).is_synthetic and read_manifest(part).state == "invalid"
    assert plays > 3


def test_a_claim_is_made_once_for_many_files(signed, tmp_path):
    claim = Claim.edited([signed], description="Cut.")
    signed.unlink()
    for name in ("1.png", "2.jpg", "3.tif", "4.webp"):
        claim.write_picture(tmp_path / name, np.zeros((9, 9, 3), np.uint8))
        manifest = read_manifest(tmp_path / name)
        assert (manifest.state, manifest.is_synthetic) == ("valid", True)
        (parent,) = manifest.ingredients
        assert (parent.title, parent.role, len(parent.sha256)) == ("result.mp4", "parentOf", 64)
        # What it says of itself, too.
        assert b"src pictures" in (tmp_path / name).read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="names are text elsewhere")
def test_a_name_that_is_no_text(signed, tmp_path):
    path = signed.rename(tmp_path / "result \udcff.mp4")
    assert read_manifest(path).state == "valid"
    Claim.edited([path]).write_picture(tmp_path / "\udcfe.png", np.zeros((9, 9, 3), np.uint8))
    manifest = read_manifest(tmp_path / "\udcfe.png")
    assert [each.title for each in manifest.ingredients] == ["result ?.mp4"]
    assert manifest.state == "valid" and manifest.ingredients[0].sha256 == fingerprint(path)


def test_a_file_that_was_renamed_keeps_its_manifest(signed, tmp_path):
    for name in ("1.png", "2.jpg", "3.tif", "4.webp"):
        Claim.drawn("Faces.").write_picture(tmp_path / name, np.zeros((9, 9, 3), np.uint8))
    for number, name in enumerate(("1.png", "2.jpg", "3.tif", "4.webp", "result.mp4")):
        for other in ("a.jpg", "b.mp4", "c.txt", "d"):
            path = (tmp_path / name).rename(tmp_path / f"{number}{other}")
            assert read_manifest(path).state == "valid" and is_marked(path)
            claim = Claim.edited([path])
            assert len(claim.histories) == 1
            claim.write_picture(tmp_path / "new.png", np.zeros((9, 9, 3), np.uint8))
            assert read_manifest(tmp_path / "new.png").state == "valid"
            path.rename(tmp_path / name)


def test_drawn_pictures_are_synthetic_and_name_no_footage(tmp_path):
    Claim.drawn("Faces.").write_picture(tmp_path / "a.png", np.zeros((9, 9, 3), np.uint8))
    manifest = read_manifest(tmp_path / "a.png")
    assert (manifest.state, manifest.is_synthetic, manifest.ingredients) == ("valid", True, ())


def test_a_fingerprint_takes_names_that_are_no_text(footage_src):
    (footage_src / "1.png").rename(footage_src / os.fsdecode(b"caf\xe9.png"))
    before = fingerprint(footage_src)
    (footage_src / os.fsdecode(b"caf\xe9.png")).rename(footage_src / os.fsdecode(b"caf\xe8.png"))
    assert fingerprint(footage_src) != before


def test_a_fingerprint_knows_names_and_bytes(footage_src):
    before = fingerprint(footage_src)
    (footage_src / "1.png").rename(footage_src / "2.png")
    assert fingerprint(footage_src) != before
    assert fingerprint(Path(__file__)) == fingerprint(Path(__file__))
