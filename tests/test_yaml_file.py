"""What a file may hold to be read as YAML, and what is said if it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcgan.config_file import from_yaml, load
from hpcgan.errors import ConfigError
from hpcgan.yaml_file import read
from tests.refusals import DATA, refusal


@pytest.mark.parametrize("text", ["data: [\n", "a: b: c\n", "\tdata: 1\n", "? [1]\n: 2\n"])
def test_what_is_not_yaml_is_told(config_file: Path, text: str) -> None:
    assert refusal(config_file, text).startswith(f"{config_file}: not readable as YAML: ")


def test_bytes_that_are_no_text_are_told(config_file: Path) -> None:
    config_file.write_bytes(b"data: \xff\xfe\n")
    with pytest.raises(ConfigError, match="not readable as YAML"):
        load(config_file)


@pytest.mark.parametrize("text", ["", "just words\n", "- data\n", "7\n"])
def test_what_is_no_mapping_is_told(config_file: Path, text: str) -> None:
    message = refusal(config_file, text)
    assert message == f"{config_file}: a config is a mapping of sections, such as 'data: ...'"


@pytest.mark.parametrize("call", ["apply:os.system", "apply:builtins.exec", "new:os.system"])
def test_a_yaml_tag_runs_nothing(config_file: Path, tmp_path: Path, call: str) -> None:
    trap = tmp_path / "trap"
    command = f"open({str(trap)!r}, 'w')" if "exec" in call else f"touch {trap}"
    text = f'data: {{files: [!!python/object/{call} ["{command}"]]}}\n'
    assert f"line 1 has a tag, !!python/object/{call}, " in refusal(config_file, text)
    with pytest.raises(ConfigError):
        from_yaml(text, "checkpoint")
    config_file.write_text(DATA)
    with pytest.raises(ConfigError):
        load(config_file, [f'--data.files=[!!python/object/{call} ["{command}"]]'])
    assert not trap.exists()


def test_a_path_in_the_place_of_a_section_is_not_followed(config_file: Path) -> None:
    (config_file.parent / "model.yaml").write_text("name: dcgan\n")
    text = DATA + f"model: {config_file.parent / 'model.yaml'}\n"
    assert "section 'model' is" in refusal(config_file, text)
    with pytest.raises(ConfigError, match="section 'model' is"):
        from_yaml(text, "step_1.h5")
    with pytest.raises(ConfigError, match="unknown key 'config'"):
        from_yaml(DATA + f"config: {config_file}\n", "step_1.h5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {steps: 1}\ntrain: {steps: 2}\n", "'train' is given twice, in lines 2 and 3"),
        ("train: {steps: 1, steps: 1}\n", "'steps' is given twice, in line 2"),
        (
            "train:\n  steps: 1\n  ema: 0.9\n  steps: 2\n",
            "'steps' is given twice, in lines 3 and 5",
        ),
        ("train.steps: 1\ntrain: {steps: 1}\n", "'train.steps' is given twice"),
    ],
)
def test_a_key_given_twice_is_refused(config_file: Path, text: str, message: str) -> None:
    assert refusal(config_file, DATA + text) == f"{config_file}: {message}; keep one"
    with pytest.raises(ConfigError) as caught:
        from_yaml(DATA + text, "step_1.h5")
    assert str(caught.value) == f"step_1.h5: {message}; keep one"


@pytest.mark.parametrize(
    ("text", "line", "what_to_do"),
    [
        ("train:\n\tsteps: 1\n", 3, "indent with spaces, not with tabs"),
        ("name: @x\n", 2, "put quotes around a text that begins so"),
        ("name: *x\n", 2, "put quotes around a text that begins with *"),
        ("data2: {files: [*.h5]}\n", 2, "put quotes around a text that begins with *"),
        ("train: {steps: 1\n", 3, "close the bracket, or put quotes around a text with brackets"),
        ("train:\n  ema: 0.9\n   steps: 5\n", 4, "look at the indentation"),
        ("name: a: b\n", 2, "put quotes around a text with ': ' in it"),
        ("---\nseed: 1\n", 2, "a file holds one document"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line_and_what_to_do(
    config_file: Path, text: str, line: int, what_to_do: str
) -> None:
    message = refusal(config_file, DATA + text)
    assert message.startswith(f"{config_file}: not readable as YAML: line {line}: ")
    assert what_to_do in message


def test_a_variable_in_brackets_needs_quotes(config_file: Path) -> None:
    message = refusal(config_file, "data: {files: [${SCRATCH}/a.h5]}\n")
    assert "put quotes around a text with brackets in it" in message
    config_file.write_text("data: {files: ['${SCRATCH}/a.h5']}\n")
    assert load(config_file).data.files == ["${SCRATCH}/a.h5"]


@pytest.mark.parametrize("deep", ["[" * 9 + "]" * 9, "{a: " * 9 + "1" + "}" * 9, "[" * 10**5])
def test_what_is_deeper_than_any_section_is_refused(config_file: Path, deep: str) -> None:
    assert "line 2 has more than 8 levels" in refusal(config_file, f"{DATA}name: {deep}\n")


def test_sections_may_repeat_each_other_by_aliases(config_file: Path) -> None:
    config_file.write_text(
        DATA
        + "optimizer:\n  generator: &one {learning_rate: 0.1, beta_1: 0.25}\n"
        + "  discriminator: {<<: *one, beta_1: 0.75}\n"
    )
    optimizer = load(config_file).optimizer
    assert (optimizer.generator.learning_rate, optimizer.generator.beta_1) == (0.1, 0.25)
    assert (optimizer.discriminator.learning_rate, optimizer.discriminator.beta_1) == (0.1, 0.75)


def test_a_section_within_itself_is_no_key(config_file: Path) -> None:
    assert "unknown key 'train.train'" in refusal(config_file, DATA + "train: &a {train: *a}\n")
    assert "train.steps is " in refusal(config_file, DATA + "train: {steps: &a [*a]}\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_files_of_other_systems_are_read(config_file: Path, encoding: str, line_end: str) -> None:
    text = "data:\n  files: [ä.h5]\nname: é x\ntrain:\n  steps: 5\n"
    config_file.write_bytes(text.replace("\n", line_end).encode(encoding))
    config = load(config_file)
    assert (config.data.files, config.name, config.train.steps) == (["ä.h5"], "é x", 5)


def test_a_comma_in_a_number_ends_a_value_in_brackets(config_file: Path) -> None:
    text = DATA + "optimizer: {generator: {learning_rate: 0,0002}}\n"
    assert refusal(config_file, text).endswith("write numbers with a point, not a comma")


def test_a_checkpoint_has_no_aliases() -> None:
    """Since what they stand for may grow without bound; ``to_yaml`` makes none."""
    with pytest.raises(ConfigError, match=r"^step_1\.h5: line 2 has an alias, \*one$"):
        from_yaml("optimizer: {generator: &one {}\n, discriminator: *one}\n" + DATA, "step_1.h5")


def test_a_file_is_read_as_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(
        "texts: [no, on, 010, 0o7, 23:30, 2024-01-01, '1', '', none, =, 1__0, ._, <<]\n"
        "values: [true, False, ~, null, 7, -7, 0x1f, 1_000, 1e3, 1.5, .5, -.inf, 1e400]\n"
        "empty:\n"
    )
    assert read(path, "site file") == {
        "texts": [
            *(
                "no",
                "on",
                "010",
                "0o7",
                "23:30",
                "2024-01-01",
                "1",
                "",
                "none",
                "=",
                "1__0",
                "._",
                "<<",
            )
        ],
        "values": [
            *(True, False, None, None, 7, -7, 31, 1000, 1000, 1.5, 0.5),
            *(float("-inf"), float("inf")),
        ],
        "empty": None,
    }
    path.write_text("# nothing\n")
    assert read(path, "site file") is None
    with pytest.raises(ConfigError, match=r"no\.yaml: there is no such site file"):
        read(tmp_path / "no.yaml", "site file")


@pytest.mark.parametrize("merged", ["5", "[1]", "text"])
def test_what_cannot_be_merged_is_told(config_file: Path, merged: str) -> None:
    message = refusal(config_file, f"{DATA}train: {{<<: {merged}}}\n")
    assert message.startswith(f"{config_file}: not readable as YAML: line 2: expected a mapping")


def test_a_text_that_looks_like_yaml_is_not_read_again() -> None:
    text = "[" * 10**5
    assert from_yaml(f"{DATA}name: '{text}'\n", "step_1.h5").name == text
    assert from_yaml(f"{DATA}data.labels: '{{a: b}}'\n", "step_1.h5").data.labels == "{a: b}"
