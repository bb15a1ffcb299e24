#pragma once
// Fields of a JSON text by their names, as slices of that text: nothing is built, nothing
// converted, so that a number keeps all its digits.

#include <string>
#include <string_view>
#include <vector>

namespace sluice::plugins::postgres {

/// The fields wanted, found in one pass. Constant after construction; safe for concurrent calls.
class FieldTree {
 public:
    /// Adds a field: names from the outside in, at least one. What find() answers at `index`.
    void add(const std::vector<std::string>& path, std::size_t index);
    [[nodiscard]] bool empty() const { return root_.children.empty(); }

    /// Sets found[index] of every field that is there to its JSON text; others stay as they are.
    /// The last of several equal names counts, as it does in jsonb. `scratch` is for names with
    /// escapes. False when `text` is no JSON object.
    bool find(std::string_view text, std::vector<std::string_view>& found,
              std::string& scratch) const;

 private:
    struct Node {
        std::string name;
        std::vector<std::size_t> indexes;
        std::vector<Node> children;
    };
    static const char* walk(const Node& node, const char* at, std::vector<std::string_view>& found,
                            std::string& scratch);
    static void forget(const Node& node, std::vector<std::string_view>& found);

    Node root_;
};

/// Appends the text of a valid JSON string, given with its quotes.
void append_unescaped(std::string& out, std::string_view json_string);

}  // namespace sluice::plugins::postgres
