// Chat templates as model files have them, shortened to what one turn needs, and the word for what each does.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JINJA_FOR_TEST_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JINJA_FOR_TEST_H_

#include <string_view>
#include <utility>

namespace bitnet {

inline constexpr std::pair<std::string_view, std::string_view> kJinja[] = {
    {"llama3-chat",
     R"({{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' )"
     R"(+ m['content'] | trim + '<|eot_id|>' }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }})"},
    // In double quotes, with line breaks in place of their escapes, and BOS left to the vocabulary.
    {"llama3-chat",
     "{% for m in messages %}{{ \"<|start_header_id|>\" + m.role + \"<|end_header_id|>\n\n\" + m.content | trim + "
     "\"<|eot_id|>\" }}{% endfor %}{{ \"<|start_header_id|>assistant<|end_header_id|>\n\n\" }}"},
    {"bitnet-chat",
     R"({% for m in messages %}{{ m['role'] | capitalize + ': ' + m['content'] | trim + '<|eot_id|>' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %})"},
    {"bitnet-chat", R"({{ bos_token + 'User: ' + messages[0]['content'] + '<|eot_id|>Assistant: ' }})"},
    {"falcon3-chat",
     R"({%- for message in messages %}{%- if message['role'] == 'system' %}{{- '<|system|>\n' + message['content'] )"
     R"(+ '\n' }}{%- elif message['role'] == 'user' %}{{- '<|user|>\n' + message['content'] + '\n' }}{%- else %})"
     R"({{- '<|assistant|>\n' + message['content'] + '</s>' }}{%- endif %}{%- endfor %}{{- '<|assistant|>\n' }})"},
    {"chatml", R"({% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }})"
               R"({% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})"},
    {"chatml", R"({% for m in messages %}{{ "<|im_start|>" + m.role + "\n" + m.content + "<|im_end|>\n" }}{% endfor %})"
               R"({{ "<|im_start|>assistant\n" }})"},
    {"llama2-chat", R"({% for m in messages %}{% if loop.first and system %}{% set content = '<<SYS>>\n' + system + )"
                    R"('\n<</SYS>>\n\n' + m['content'] %}{% else %}{% set content = m['content'] %}{% endif %})"
                    R"({{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% endfor %})"},
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JINJA_FOR_TEST_H_
