// Chat templates: the part of Jinja that they use, with the text that Python's jinja2 gives in the sandbox of
// Hugging Face's transformers (trim_blocks, lstrip_blocks, no escaping).
//
//   ChatTemplate chat(source);
//   std::string text = chat.Render({{"messages", {{{"role", "user"}, {"content", "Hi"}}}},
//                                   {"add_generation_prompt", true}, {"bos_token", "<s>"}});
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JINJA_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JINJA_H_

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace bitnet {

// A template is not trusted: its depth, its work and the size of its values have limits, and there is nothing in it
// that reads or writes anything. What is not supported is refused by name, where it is reached. There is no
// strftime_now: a template's text must not depend on the day.
class ChatTemplate {
 public:
  // Throws JinjaError (std::runtime_error) that begins with the line.
  explicit ChatTemplate(std::string_view source);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // The same errors, and what the template itself raises. `variables` is an object.
  std::string Render(const nlohmann::ordered_json& variables) const;

 private:
  struct Tree;
  std::unique_ptr<const Tree> tree_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JINJA_H_
