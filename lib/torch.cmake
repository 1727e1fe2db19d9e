# LibTorch from the wheel, without find_package(Torch): that wants nvcc for a CUDA wheel. From DS_TORCH_DIR and DS_CUDART_DIR makes torch::cpu and
# CUDART_DIR, or says in TORCH_PROBLEM why there is none. Installed too: find_package(ds) reads it in other projects.
set(TORCH_PROBLEM "")
find_path(TORCH_INCLUDE ATen/core/Tensor.h PATHS ${DS_TORCH_DIR}/include NO_DEFAULT_PATH)
find_library(TORCH_CPU_LIBRARY torch_cpu PATHS ${DS_TORCH_DIR}/lib NO_DEFAULT_PATH)
find_library(C10_LIBRARY c10 PATHS ${DS_TORCH_DIR}/lib NO_DEFAULT_PATH)
# libtorch_cpu.so names these two, even where no device is used. Its own run path looks in ../nvidia/cu13/lib beside torch/.
find_library(CUDART_LIBRARY NAMES libcudart.so.13 HINTS ${DS_CUDART_DIR} ${DS_TORCH_DIR}/../nvidia/cu13/lib /usr/local/cuda/lib64)
find_library(CUPTI_LIBRARY NAMES libcupti.so.13 HINTS ${DS_CUDART_DIR} ${DS_TORCH_DIR}/../nvidia/cu13/lib /usr/local/cuda/lib64)
if(NOT TORCH_INCLUDE OR NOT TORCH_CPU_LIBRARY OR NOT C10_LIBRARY)
  set(TORCH_PROBLEM "no LibTorch in DS_TORCH_DIR='${DS_TORCH_DIR}': run scripts/setup.sh, or set it to the folder of an unpacked torch==2.11.0 wheel")
elseif(NOT CUDART_LIBRARY OR NOT CUPTI_LIBRARY)
  set(TORCH_PROBLEM "no libcudart.so.13 and libcupti.so.13 beside '${DS_TORCH_DIR}', which libtorch_cpu.so needs: run scripts/setup.sh, or set DS_CUDART_DIR")
endif()
if(TORCH_PROBLEM)
  return()
endif()
cmake_path(GET CUDART_LIBRARY PARENT_PATH CUDART_DIR)
set(TORCH_VERSION "")
foreach(part MAJOR MINOR PATCH)
  file(STRINGS ${TORCH_INCLUDE}/torch/headeronly/version.h line REGEX "define TORCH_VERSION_${part} ")
  string(REGEX MATCH "[0-9]+$" number "${line}")
  list(APPEND TORCH_VERSION "${number}")
endforeach()
list(JOIN TORCH_VERSION "." TORCH_VERSION)

add_library(torch::c10 SHARED IMPORTED)
set_target_properties(torch::c10 PROPERTIES IMPORTED_LOCATION ${C10_LIBRARY})
add_library(torch::cpu SHARED IMPORTED)
set_target_properties(torch::cpu PROPERTIES
  IMPORTED_LOCATION ${TORCH_CPU_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES "${TORCH_INCLUDE};${TORCH_INCLUDE}/torch/csrc/api/include"
  # The include folder holds fmt 12, Debian's library is fmt 9: with headers only, nothing is left to link.
  INTERFACE_COMPILE_DEFINITIONS "FMT_HEADER_ONLY;AT_PER_OPERATOR_HEADERS"
  # LibTorch's headers have parallel_for run in one thread, without a word, where _OPENMP is not defined.
  INTERFACE_LINK_LIBRARIES "torch::c10;OpenMP::OpenMP_CXX")
