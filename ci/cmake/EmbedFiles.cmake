# Writes a C++ source that holds files as text: cmake -DOUTPUT=built_in_files.cc -DHEADER=header.h -DFILES=a.json,b.json -P this
string(REPLACE "," ";" FILES "${FILES}")
set(rows "")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  file(READ ${file} text)
  string(APPEND rows "    {\"${name}\", R\"____(${text})____\"},\n")
endforeach()
file(WRITE ${OUTPUT}
"// Written by ci/cmake/EmbedFiles.cmake.
#include \"${HEADER}\"

namespace parity {

const BuiltInFile kBuiltInFiles[] = {
${rows}};

}  // namespace parity
")
