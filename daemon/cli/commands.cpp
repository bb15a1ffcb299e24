#include "daemon/cli/commands.hpp"

#include "daemon/cli/session.hpp"
#include "daemon/cli/table.hpp"

namespace sluice::cli {
namespace {

constexpr std::size_t many = 10'000;

const Option execute_option{"--execute", "", "do it; without this only what would change is shown"};
const Option dry_run_option{"--dry-run", "", "show what would change and do nothing (the default)"};
const Option plugin_dir{"--plugin-dir", "DIR", "where plugins are, when the configuration names none"};

}  // namespace

std::span<const Command> commands() {
    static const std::vector<Command> all{
        {"validate", "[PATH]", 0, 1, {plugin_dir},
         "check a configuration; everything wrong is reported at once", run_validate},
        {"plan", "[PIPELINE…]", 0, many,
         {{"--what-if", "FILE", "answer one JSON question about the planner (- reads standard input); no "
                                "configuration and no broker is used"}},
         "show the next trigger's batch, range by range; nothing is read", run_plan},
        {"status", "[PIPELINE…]", 0, many,
         {{"--all", "", "also list pipelines that are no longer configured"}},
         "how every pipeline stands; exit code 2 when one needs a person", run_status},
        {"batches list", "PIPELINE", 1, 1, {{"--limit", "COUNT", "newest so many (20)"}},
         "the newest batches", run_batches_list},
        {"batches show", "PIPELINE/BATCH", 1, 2, {}, "one batch, its ranges and its books, such as orders/812",
         run_batches_show},
        {"batches find", "PIPELINE TOPIC/PARTITION@OFFSET", 2, 2, {},
         "the batch that a record was read in, such as orders/0@8123", run_batches_find},
        {"batches replay", "PIPELINE/BATCH[..BATCH] | PIPELINE", 1, 1,
         {{"--into", "SINK.yaml", "a file with one sink section: plugin and its options"},
          {"--from", "TIME", "batches planned at or after 2026-11-01T08:00:00+01:00, instead of numbers"},
          {"--until", "TIME", "and planned before"},
          {"--replay-id", "ID", "its name is PIPELINE.replay-ID (FIRST-LAST); the same name goes on"},
          {"--state", "DIR", "what is done so far (beside SINK.yaml)"},
          {"--skip-lost", "", "deliver what is left where Kafka no longer retains all"},
          execute_option, dry_run_option},
         "deliver recorded batches again, into another sink; exit code 2 when the books differ",
         run_batches_replay},
        {"batches replan", "PIPELINE", 1, 1, {execute_option, dry_run_option},
         "give up the batch that has no outcome, unless the sink has it already, and plan its offsets anew",
         run_batches_replan},
        {"verify", "[PIPELINE…]", 0, many,
         {{"--since", "TIME", "batches planned at or after 2026-11-01T08:00:00Z (all that are kept)"},
          {"--books", "", "the books alone; nothing is read from Kafka"}},
         "check the books of recorded batches and explain their gaps by reading them again; exit code 2 when "
         "something is wrong",
         run_verify},
        {"offsets get", "PIPELINE", 1, 1, {}, "the checkpointed positions", run_offsets_get},
        {"offsets set", "PIPELINE TOPIC/PARTITION@OFFSET…", 2, many, {execute_option, dry_run_option},
         "move partitions to given offsets", run_offsets_set},
        {"offsets reset", "PIPELINE [TOPIC[/PARTITION]…]", 1, many,
         {{"--to-earliest", "", "to the first offset there is"},
          {"--to-latest", "", "to the end"},
          {"--to-datetime", "TIME", "to the first record at or after 2026-11-01T08:00:00Z"},
          {"--to-starting-offsets", "", "to what startingOffsets says now"},
          {"--shift-by", "COUNT", "so many offsets on, or back when negative"},
          execute_option, dry_run_option},
         "move all partitions, or those named", run_offsets_reset},
        {"offsets skip", "PIPELINE TOPIC/PARTITION@OFFSET", 2, 2, {execute_option, dry_run_option},
         "step over exactly one record", run_offsets_skip},
        {"losses list", "[PIPELINE…]", 0, many, {},
         "data that could not be read any more; exit code 2 when some is not accepted", run_losses_list},
        {"losses accept", "PIPELINE", 1, 1, {execute_option, dry_run_option},
         "record that data is lost, and go on after it", run_losses_accept},
        {"plugins", "[NAME]", 0, 1, {plugin_dir}, "the sink plugins there are, or one with its options",
         run_plugins},
        {"sink-test", "PLUGIN.so CONFIG.yaml", 2, 2,
         {{"--reader", "COMMAND", "prints every visible record: TOPIC PARTITION OFFSET, or as a JSON object"},
          {"--values", "any|json", "json: no null, empty or binary values (any)"},
          {"--refused", "VALUE", "a value that the sink must refuse"},
          {"--down", "COMMAND", "takes the target away"},
          {"--up", "COMMAND", "brings it back"},
          {"--stdout", "FILE", "what the plugin prints is appended there (nowhere)"},
          {"--seed", "NUMBER", "makes the same run again"},
          {"--rounds", "COUNT", "of what is random: kills inside calls, histories (10)"},
          {"--scenario", "NAME", "this one alone"},
          {"--timeout", "DURATION", "a call that takes longer hangs (60s)"}},
         "drive a sink plugin as the daemon does, kill it, and say which guarantee it keeps; CONFIG.yaml holds "
         "one sink section; exit code 2 when it keeps less than it declares",
         run_sink_test},
        {"pause", "PIPELINE…", 1, many, {}, "start no more batches; the sink stays open", run_pause},
        {"resume", "PIPELINE…", 1, many, {}, "go on after pause or stop", run_resume},
        {"stop", "PIPELINE…", 1, many, {}, "start no more batches and close the sink", run_stop},
        {"restart", "PIPELINE…", 1, many, {}, "try again now: reopen source and sink, leave FAILED behind",
         run_restart},
        {"reload", "", 0, 0, {}, "make the daemon read its configuration again, and wait for that",
         run_reload},
        {"logs level", "[LEVEL]", 0, 1, {}, "show or set the daemon's log level: debug, info, warning, error",
         run_logs_level},
        {"forget", "PIPELINE", 1, 1, {execute_option, dry_run_option},
         "remove the checkpoints of a pipeline that is no longer configured", run_forget}};
    return all;
}

std::span<const Option> common_options() {
    static const std::vector<Option> all{
        {"--config", "PATH", "configuration file or directory ($SLUICE_CONFIG, /etc/sluice/sluice.yaml)"},
        {"--data-dir", "DIR", "the data directory, when not the configuration's"},
        {"--socket", "PATH", "the control socket of a running daemon"},
        {"--json", "", "print JSON"},
        {"--help", "", "say what a command does"}};
    return all;
}

namespace {

std::string options_text(std::span<const Option> options) {
    std::size_t width = 0;
    const auto head = [](const Option& option) {
        return option.name + (option.value.empty() ? "" : " " + option.value);
    };
    for (const Option& option : options) width = std::max(width, head(option).size());
    std::string text;
    for (const Option& option : options) {
        text += "  " + head(option) + std::string(width - head(option).size() + 2, ' ') + option.sentence + "\n";
    }
    return text;
}

}  // namespace

std::string general_help() {
    std::string text =
        "sluice asks a running sluiced, or its checkpoints when none runs.\n\n"
        "Usage: sluice COMMAND [ARGUMENTS] [OPTIONS]\n\n";
    Table table({{"COMMAND"}, {""}}, "  ");
    for (const Command& command : commands()) table.add({command.words, command.sentence});
    text += table.text();
    text += "\nOptions of every command\n" + options_text(common_options());
    text +=
        "\nExit codes: 0 ok, 1 failed, 2 found something, 64 usage, 69 unavailable, 70 bug, 74 data\n"
        "directory, 75 try later, 78 configuration. `sluice COMMAND --help` says more.\n";
    return text;
}

std::string help_of(const Command& command) {
    std::string text = "Usage: sluice " + command.words;
    if (!command.arguments.empty()) text += " " + command.arguments;
    text += " [OPTIONS]\n\n  " + command.sentence + "\n";
    if (!command.options.empty()) text += "\nOptions\n" + options_text(command.options);
    return text + "\nOptions of every command\n" + options_text(common_options());
}

}  // namespace sluice::cli
