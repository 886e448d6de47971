"""What commands are not usually given: names and outputs that can't be shown or written, byte order marks, odd data."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from test_commands import one_line

from conftest import SAMPLES, Command

DEMO = SAMPLES.parent / "clipon-demo.gguf"


@pytest.fixture
def nameless(clipon: Command) -> Path:
    """The demo model under a name that is not UTF-8."""
    content = DEMO.read_bytes()
    name = content.index(b"general.name") + len("general.name") + 4 + 8  # type, length
    path = clipon.work / "nameless.gguf"
    path.write_bytes(content[:name] + b"\xff" + content[name + 1 :])
    return path


def test_json_of_a_model_whose_name_is_not_utf8(clipon: Command, nameless: Path) -> None:
    out = clipon.work / "e.npy"
    done = clipon("--model", nameless, "embed", "--images", SAMPLES / "house.png", "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"].startswith("\ufffd")
    bench = clipon.work / "bench.json"
    done = clipon("bench", "--model", nameless, "--tower", "text", "--batch", "1", "--seconds", "0", "--json", bench)
    assert done.returncode == 0, done.stderr
    assert json.loads(bench.read_text())["results"][0]["model"].startswith("\ufffd")
    assert "\\xff" in done.stdout
    assert "\\xff" in clipon("--model", nameless, "info").stdout


def test_paths_that_the_system_refuses_are_errors_not_aborts(clipon: Command) -> None:
    plain = clipon.work / "plain"
    plain.write_text("")
    done = clipon("index", SAMPLES / "house.png", "--index", plain)
    assert done.returncode == 2
    one_line(done.stderr, "plain")
    loop = clipon.work / "loop"
    loop.symlink_to(loop)
    for line in (("evaluate", loop), ("probe", "train", loop, "-o", clipon.work / "x"), ("evaluate", "x" * 5000)):
        done = clipon(*line)
        assert done.returncode in (1, 2), done.stderr
        one_line(done.stderr)


@pytest.mark.parametrize(
    "line",
    [
        ("embed", "--images", SAMPLES, "-o"),
        ("similarity", "--images", SAMPLES, "--texts", SAMPLES / "labels.txt", "-o"),
        ("classify", "--labels", "cat", "--save"),
        ("evaluate", "DATA", "--report"),
        ("evaluate", "DATA", "--predictions"),
        ("evaluate", "DATA", "--confusion"),
        ("probe", "train", "DATA", "-o"),
        ("search", "house", "--html"),
    ],
)
def test_outputs_that_can_not_be_written_are_told_before_a_model_is_read(
    clipon: Command, line: tuple[str | Path, ...]
) -> None:
    folder = clipon.work / "data/house"
    folder.mkdir(parents=True)
    shutil.copy(SAMPLES / "house.png", folder)
    out = clipon.work / "none" / "out"
    arguments = [folder.parent if part == "DATA" else part for part in line]
    done = clipon("--model", clipon.work / "none.gguf", *arguments, out)
    assert (done.returncode, done.stdout) == (1, "")
    one_line(done.stderr, f"{out}: can't write it: No such file")


def test_the_file_of_rows_beside_an_array_is_told_too(clipon: Command) -> None:
    rows = clipon.work / "e.paths.jsonl"
    rows.mkdir()
    done = clipon("--model", clipon.work / "none.gguf", "embed", "--images", SAMPLES, "-o", clipon.work / "e.npy")
    assert (done.returncode, done.stdout) == (1, "")
    one_line(done.stderr, f"{rows}: can't write it: Is a directory")


def on_a_terminal(command: Command, *arguments: object) -> list[str]:
    """The lines that stand on a terminal in the end, of the output and the errors together."""
    master, slave = os.openpty()
    line = [str(part) for part in (command.program, *arguments)]
    with subprocess.Popen(line, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        text = b""
        try:
            while part := os.read(master, 1 << 16):
                text += part
        except OSError:  # EIO: the other end is closed
            pass
        process.wait(60)
    os.close(master)
    assert b"\r\x1b[K" in text  # there was a bar
    return [shown.rstrip("\r").rpartition("\r")[2].replace("\x1b[K", "") for shown in text.decode().split("\n")]


def test_the_bar_is_gone_before_anything_is_printed(clipon: Command) -> None:
    for label, sample in (("house", "house.png"), ("pizza", "pizza.png")):
        folder = clipon.work / "data" / label
        folder.mkdir(parents=True)
        for i in range(3):
            shutil.copy(SAMPLES / sample, folder / f"{i}.png")
    (clipon.work / "data/house/1.png").write_text("no picture")
    data, out, synonyms = clipon.work / "data", clipon.work / "out", clipon.work / "labels.txt"
    synonyms.write_text("house\thome\tbuilding\npizza\tfood\n")
    for line, last in (
        (("index", data, "--index", out), "6 rows; 6 new"),
        (("embed", "--images", data, "-o", clipon.work / "e.npy"), "6 x "),
        (("evaluate", data), "house"),
        (("classify", data, "--labels", "house,pizza", "--templates", "ensemble"), "house"),
        (("classify", data, "--labels", "house,pizza", "--multi-label"), "house"),
        (("classify", data, "--labels-file", synonyms, "--background", "a thing"), "house"),
        (("probe", "curve", data, "--shots", "1", "--repeats", "2", "--holdout", "0.5"), "shots"),
    ):
        shown = on_a_terminal(clipon, "--batch", 2, *line)
        assert not [text for text in shown if "[#" in text], shown
        assert [text for text in shown if last in text], shown
        assert [text for text in shown if text.startswith("clipon: ") and "1.png" in text], shown


def test_names_cannot_drive_a_terminal(clipon: Command) -> None:
    labels = clipon.work / "labels.txt"
    labels.write_text("ho\x1b[31muse\npizza\n")
    picture = clipon.work / "a\x1b]0;b.png"
    shutil.copy(SAMPLES / "house.png", picture)
    line = ("classify", SAMPLES / "house.png", picture, "--labels-file", labels)
    shown = on_a_terminal(clipon, *line)
    assert not [text for text in shown if "\x1b" in text], shown
    assert [text for text in shown if "a\\x1b]0;b.png" in text and "ho\\x1b[31muse" in text], shown
    assert f"{picture}  " in clipon(*line).stdout  # a pipe gets names as they are


def test_a_folder_that_cannot_be_walked_to_its_end_is_told(clipon: Command) -> None:
    deep = clipon.work / "data" / "/".join("d" * 40)
    deep.mkdir(parents=True)
    shutil.copy(SAMPLES / "house.png", clipon.work / "data")
    line = [str(part) for part in (clipon.program, "classify", clipon.work / "data", "--labels", "a,b")]
    few = 'ulimit -n 20; exec "$@"'  # each folder of the walk takes a descriptor
    done = subprocess.run(["sh", "-c", few, "sh", *line], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    one_line(done.stderr, f"{clipon.work / 'data'}: can't be walked: Too many open files")


def test_hidden_files_and_folders_are_left_out_unless_named(clipon: Command) -> None:
    data = clipon.work / ".data"  # hidden, but named
    for folder in ("house", "house/deeper", "house/.thumbnails", ".house"):
        (data / folder).mkdir(parents=True)
        shutil.copy(SAMPLES / "house.png", data / folder)
    (data / "house/._house.png").write_bytes(b"AppleDouble")
    done = clipon("evaluate", data, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["labels"], found["pictures"]) == (1, 2)
    out = clipon.work / "e.npy"
    done = clipon("embed", "--images", data, data / ".house/house.png", "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    paths = [json.loads(line)["path"] for line in (clipon.work / "e.paths.jsonl").read_text().splitlines()]
    assert paths == [str(data / name) for name in ("house/deeper/house.png", "house/house.png", ".house/house.png")]


def test_a_group_is_a_word_or_a_number(clipon: Command) -> None:
    def shard(path: Path, group: str) -> Path:
        with tarfile.open(path, "w") as tar:
            for name, content in (
                ("a.png", (SAMPLES / "house.png").read_bytes()),
                ("a.txt", b"house"),
                ("a.json", f'{{"g":{group}}}'.encode()),
            ):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return path

    done = clipon("evaluate", shard(clipon.work / "deep.tar", "[" * 500_000 + "]" * 500_000), "--group", "g")
    assert done.returncode == 2
    one_line(done.stderr, "deep.tar/a", "'g'", "expected a string, a number or a truth value")
    predictions = clipon.work / "predictions.csv"
    done = clipon("evaluate", shard(clipon.work / "7.tar", "7"), "--group", "g", "--predictions", predictions)
    assert done.returncode == 0, done.stderr
    assert predictions.read_text().splitlines()[1].split(",")[2] == "7"


def test_an_output_that_is_no_plain_file_is_written_not_replaced(clipon: Command) -> None:
    target, link = clipon.work / "target.npy", clipon.work / "link.npy"
    link.symlink_to("target.npy")
    for _ in range(2):  # the target is missing at first
        assert clipon("embed", "--images", SAMPLES / "house.png", "-o", link).returncode == 0
        assert link.is_symlink() and np.load(target).shape == (1, 192)
    own = clipon.work / "target.npy.part"
    own.write_text("the user's own")
    assert clipon("embed", "--images", SAMPLES / "house.png", "-o", target).returncode == 0
    assert own.read_text() == "the user's own"
    assert sorted(path.name for path in clipon.work.glob("*.part")) == ["target.npy.part"]

    pipe = clipon.work / "pipe"
    os.mkfifo(pipe)
    line = [clipon.program, "classify", "--labels", "a,b", "--save", pipe]
    with subprocess.Popen([str(part) for part in line]) as process:
        content = pipe.read_bytes()
        assert process.wait(60) == 0
    assert content.startswith(b"GGUF") and stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    "line",
    [
        ("classify", SAMPLES / "house.png", "--labels", "a,b"),
        ("classify", SAMPLES / "house.png", "--labels", "a,b", "--json"),
        ("tokenize", "a"),
        ("info",),
        ("--help",),
    ],
)
def test_an_answer_that_can_not_be_printed_is_a_failure(clipon: Command, line: tuple[object, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(part) for part in (clipon.program, *line)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    one_line(done.stderr, "standard output")


def test_byte_order_marks_are_no_part_of_a_label(clipon: Command) -> None:
    mark = b"\xef\xbb\xbf"
    labels = clipon.work / "labels.txt"
    labels.write_bytes(mark + b"pizza\r\nhouse\r\n")
    table = clipon.work / "data.csv"
    table.write_text(f"path,label\n{SAMPLES / 'pizza.png'},pizza\n")
    done = clipon("evaluate", table, "--labels-file", labels, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["top1"] == 1.0
    done = clipon("classify", SAMPLES / "pizza.png", "--labels-file", labels, "--json")
    assert json.loads(done.stdout)["labels"] == ["pizza", "house"]


def test_a_saved_classifier_shows_as_many_labels_as_are_asked_for(clipon: Command) -> None:
    saved = clipon.work / "classifier.gguf"
    assert clipon("classify", "--labels", "a,b,c,d,e", "--save", saved).returncode == 0
    for top, count in (("4", 4), ("0", 5), ("2", 2)):
        done = clipon("classify", SAMPLES / "house.png", "--classifier", saved, "--top", top, "--json")
        assert len(json.loads(done.stdout)["results"][0]["predictions"]) == count
    for option in (("--temperature", "5"), ("--background", "x"), ("--template", "{}"), ("--multi-label",),
                   ("--labels-file", saved), ("--templates", "plain"), ("--threshold", "0.4")):  # fmt: skip
        done = clipon("classify", SAMPLES / "house.png", "--classifier", saved, *option)
        assert done.returncode == 2
        one_line(done.stderr, "--classifier", option[0])


def test_an_index_begins_anew_over_what_a_killed_writer_left(clipon: Command) -> None:
    index = clipon.work / "index"
    index.mkdir()
    (index / "index.json.new").write_text("x" * 400)
    for rows in (1, 2):
        picture = shutil.copy(SAMPLES / "house.png", clipon.work / f"{rows}.png")
        done = clipon("index", picture, "--index", index, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["rows"] == rows


def test_dot_dot_after_a_link_leads_where_the_system_says(clipon: Command) -> None:
    (clipon.work / "real/sub").mkdir(parents=True)
    (clipon.work / "link").symlink_to("real/sub")
    shutil.copy(SAMPLES / "pizza.png", clipon.work / "real/x.png")
    shutil.copy(SAMPLES / "tulip.png", clipon.work / "x.png")
    index = clipon.work / "index"
    assert clipon("index", clipon.work / "link/../x.png", "--index", index).returncode == 0
    found = json.loads(clipon("search", "pizza", "--index", index, "--json").stdout)["results"]
    assert [row["path"] for row in found] == [str((clipon.work / "real/x.png").resolve())]
    shutil.copy(SAMPLES / "pizza.png", clipon.work / "real/sub/y.png")  # other paths keep their links
    assert clipon("index", clipon.work / "link/y.png", "--index", clipon.work / "other").returncode == 0
    found = json.loads(clipon("search", "pizza", "--index", clipon.work / "other", "--json").stdout)["results"]
    assert [row["path"] for row in found] == [str(clipon.work / "link/y.png")]


def test_control_characters_of_a_name_do_not_reach_the_terminal(clipon: Command) -> None:
    bad = clipon.work / "\x1b[31mevil\nname.png"
    bad.write_text("this is not a picture")
    done = clipon("classify", bad, "--labels", "a,b")
    assert done.returncode == 3
    one_line(done.stderr, "\\x1b[31mevil\\x0aname.png: picture")
    assert "\x1b" not in done.stderr and done.stderr.count("name.png") == 1


def test_probes_without_enough_pictures(clipon: Command) -> None:
    def folders(name: str, *labels: str) -> Path:
        for label in labels:
            (clipon.work / name / label).mkdir(parents=True)
            for copy in "ab" if name == "two" else "a":
                shutil.copy(SAMPLES / "house.png", clipon.work / name / label / f"{copy}.png")
        return clipon.work / name

    done = clipon("probe", "curve", folders("two", "a", "b"), "--test", folders("other", "c"), "--shots", "1")
    assert done.returncode == 2
    one_line(done.stderr, "label 'c'", "expected one of")
    done = clipon("probe", "train", folders("one", "a", "b"), "-o", clipon.work / "p.gguf")
    assert done.returncode == 2
    one_line(done.stderr, "two pictures", "--validation", "--c")


def test_threads_beyond_the_limit_are_refused_by_every_command(clipon: Command) -> None:
    for line in (("dedupe",), ("info",)):
        done = clipon("--threads", "2000", *line)
        assert done.returncode == 2
        one_line(done.stderr, "--threads")


def test_a_list_option_leaves_pictures_to_the_command(clipon: Command) -> None:
    house = SAMPLES / "house.png"
    done = clipon("classify", "--labels", "house, pizza", house, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["labels"] == ["house", "pizza"]
    done = clipon("classify", "--labels", "a,b", "--template", "a {}", "--template", "{}", "--background", "x", house)
    assert done.returncode == 0, done.stderr


def test_a_query_or_picture_that_is_not_there(clipon: Command) -> None:
    index = clipon.work / "index"
    missing = clipon.work / "nope.png"
    done = clipon("index", missing, "--index", index)
    assert done.returncode == 2
    one_line(done.stderr, "nope.png", "No such file")
    assert clipon("index", SAMPLES / "house.png", "--index", index).returncode == 0
    done = clipon("search", missing, "--index", index)
    assert done.returncode == 1
    one_line(done.stderr, "nope.png", "No such file")
    done = clipon("index", SAMPLES / "house.png", "--index", index, "--type", "int8")
    assert done.returncode == 2
    one_line(done.stderr, "stored as int8", "stored as f16")


def test_mistakes_are_sent_to_the_help_of_their_command(clipon: Command) -> None:
    one_line(clipon("classify", "--colour", "red").stderr, "clipon classify --help")
    one_line(clipon("probe", "train", "--colour").stderr, "clipon probe train --help")
    one_line(clipon("classify", SAMPLES, "--labels", "a,b", "--temperature", "0").stderr, "--temperature")
    assert clipon("classify", SAMPLES / "house.png", "--labels", "a,b", "--precision", "int8").returncode == 0
    assert clipon("classify", SAMPLES / "house.png", "--labels", "a,b", "--top", "-1").returncode == 2


def test_evaluate_takes_the_same_sets_of_templates_as_classify(clipon: Command) -> None:
    table = clipon.work / "data.csv"
    table.write_text(f"path,label\n{SAMPLES / 'pizza.png'},pizza\n")
    done = clipon("evaluate", table, "--templates", "plain", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["templates"] == ["a photo of a {}."]
